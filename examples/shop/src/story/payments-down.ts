import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import type { Observatory } from '../telemetry/observatory.ts'
import { newRequest, recordsOf } from './request.ts'
import { expect, type Stage, type Step } from './step.ts'

const lines = [{ sku: 'olives', quantity: 1 }]
const options = { timeoutMs: 5000 }

export const paymentsDown: Step = {
  name: 'Payments is down',
  async run(stage) {
    const { observatory, people, shop, linger } = stage
    const { storefront } = people.get('customer-3')
    const since = Date.now()
    const states = () => circuitStates(observatory, since)

    await shop.service('payments').kill()
    let refusedMs: number
    try {
      for (let orders = 0; !states().includes('open'); orders++) {
        expect(orders < 20, 'the circuit opens')
        const { code } = await storefront.placeOrder({ lines }, options).status
        expect(code === Code.UNAVAILABLE, 'an order without payments ends UNAVAILABLE')
      }
      refusedMs = await refusal(stage)
      await linger()
    } finally {
      await shop.start('payments')
    }

    const end = performance.now() + 10_000
    while (states().at(-1) !== 'closed') {
      expect(performance.now() < end, 'the circuit closes again')
      await sleep(100)
      await storefront.placeOrder({ lines }, options).status
    }
    expect(states().includes('half-open'), 'it tried before')
    const { code } = await storefront.placeOrder({ lines }, options).status
    expect(code === Code.OK, 'orders are placed again')
    return {
      happened: 'The payments process is killed, and started again.',
      seen: `The circuit went ${['closed', ...states()].join(' → ')}; while open, it answered within ${refusedMs.toFixed(1)} ms.`,
    }
  },
}

/** How long a charge took that the breaker refused without asking payments. */
async function refusal({ people, observatory }: Stage): Promise<number> {
  const { storefront } = people.get('customer-3')
  // An order may be the one that is let through to see whether payments is back.
  for (let orders = 0; orders < 10; orders++) {
    const { id, metadata } = newRequest('refused')
    await storefront.placeOrder({ lines }, { ...options, metadata }).status
    await sleep(50)
    const charge = recordsOf(observatory, id).find(({ fields }) => fields['grpc.refused_by'] === 'circuitBreaker')
    if (charge !== undefined) return Number(charge.fields['grpc.time_ms'])
  }
  throw new Error('not so: the breaker refuses without asking payments')
}

/** The states the circuit has changed to. */
function circuitStates({ events }: Observatory, since: number): string[] {
  return events
    .filter(({ at, from, name }) => at >= since && from === 'circuitBreaker' && name === 'stateChange')
    .map(({ detail }) => String(detail.to))
}
