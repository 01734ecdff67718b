import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stage } from '../story/step.ts'
import type { Trouble } from './trouble.ts'

/** Something that goes on, round by round, until it is stopped. */
function goingOn(round: (stage: Stage, signal: AbortSignal) => Promise<void>): Pick<Trouble, 'start' | 'stop'> {
  let stopping: AbortController | undefined
  let ended: Promise<void> = Promise.resolve()
  return {
    async start(stage) {
      stopping = new AbortController()
      const { signal } = stopping
      // Any number of calls may end with it.
      setMaxListeners(0, signal)
      ended = (async () => {
        while (!signal.aborted) await round(stage, signal)
      })()
    },
    async stop() {
      stopping?.abort()
      await ended
    },
  }
}

export const hammering: Trouble = {
  id: 'hammering',
  title: 'One customer hammers',
  text: 'Fifty orders a second. The limiter refuses most of them; no other customer notices.',
  ...goingOn(async ({ people }, signal) => {
    const { storefront } = people.get('customer-9')
    const lines = [{ sku: 'lemons', quantity: 1 }]
    const pause = sleep(1000)
    // More at once than the limit lets through at once, so that it shows on a slow machine, too; and no more until they are answered, so
    // that such a machine is not buried.
    await Promise.all(
      Array.from({ length: 50 }, () => storefront.placeOrder({ lines }, { timeoutMs: 2000, signal }).status),
    )
    await pause
  }),
}

export const slowReader: Trouble = {
  id: 'slow-reader',
  title: 'A slow reader',
  text: 'Asks for 100 000 articles and reads 50 a second. Inventory waits.',
  ...goingOn(async ({ people }, signal) => {
    try {
      for await (const _article of people.get('customer-8').storefront.browse({ limit: 100_000 }, { signal })) {
        await sleep(20, undefined, { signal })
      }
    } catch {
      await sleep(500)
    }
  }),
}

export const shortTokens: Trouble = {
  id: 'short-tokens',
  title: 'Tokens expire fast',
  text: 'Two seconds instead of ten minutes. Logins rise, no call fails.',
  async start({ issuer, people }) {
    issuer.lifetimeMs = 2000
    people.logOut()
  },
  async stop({ issuer }) {
    issuer.lifetimeMs = 600_000
  },
}
