import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { expect, type Step } from './step.ts'

const lines = [{ sku: 'tea', quantity: 1 }]

export const expiredToken: Step = {
  name: 'An expired token',
  async run({ people, issuer }) {
    const name = `visitor-${randomUUID().slice(0, 4)}`
    const usual = issuer.lifetimeMs
    issuer.lifetimeMs = 2000
    try {
      const { token, expiresAt } = await issuer.issue('photographer', 'customer')
      const { storefront } = people.get(name)
      await storefront.placeOrder({ lines })
      expect(issuer.issuedTo(name) === 1, 'a customer logs in with the first call')

      await sleep(expiresAt + 50 - Date.now())
      const late = await people.stranger(token).storefront.placeOrder({ lines }).status
      expect(late.code === Code.UNAUTHENTICATED, 'an expired token is refused')

      await storefront.placeOrder({ lines })
      const logins = issuer.issuedTo(name)
      expect(logins > 1, 'clientAuth gets a new token')
      return {
        happened: 'Tokens live for two seconds. One client sends an old one afterwards; a customer just orders on.',
        seen: `serverAuth said UNAUTHENTICATED to the old one; clientAuth had renewed its own (${logins} logins).`,
      }
    } finally {
      issuer.lifetimeMs = usual
    }
  },
}
