import { status as Code } from '@grpc/grpc-js'
import { expect, type Step } from './step.ts'

const lines = [{ sku: 'tea', quantity: 1 }]

export const expiredToken: Step = {
  name: 'An expired token',
  async run({ people, issuer }) {
    const usual = issuer.lifetimeMs
    issuer.lifetimeMs = 2000
    try {
      const { token, expiresAt } = await issuer.issue('visitor', 'customer')
      const before = issuer.issued
      const customer = people.get('customer-2')
      await customer.storefront.placeOrder({ lines })
      expect(issuer.issued === before + 1, 'a customer logs in with the first call')

      await new Promise((resolve) => setTimeout(resolve, expiresAt + 50 - Date.now()))
      const late = await people.stranger(token).storefront.placeOrder({ lines }).status
      expect(late.code === Code.UNAUTHENTICATED, 'an expired token is refused')

      await customer.storefront.placeOrder({ lines })
      expect(issuer.issued > before + 1, 'clientAuth gets a new token')
      return {
        happened: 'Tokens live for two seconds. A stored one is refused afterwards, while the customer orders on.',
        seen: `serverAuth said UNAUTHENTICATED to the old one; clientAuth renewed in time (${issuer.issued - before} logins).`,
      }
    } finally {
      issuer.lifetimeMs = usual
    }
  },
}
