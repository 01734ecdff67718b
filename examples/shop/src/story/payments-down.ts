import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import type { Event } from '../telemetry/observatory.ts'
import { newRequest, recordsOf } from './request.ts'
import { eventually, expect, type Step } from './step.ts'

const lines = [{ sku: 'olives', quantity: 1 }]

export const paymentsDown: Step = {
  name: 'Payments is down',
  async run({ people, observatory, shop, linger }) {
    const { storefront } = people.get('customer-3')
    const since = Date.now()
    const states = () => observatory.events.filter(({ at }) => at >= since).flatMap(stateOf)

    await shop.service('payments').kill()
    let orders = 0
    while (!states().includes('open')) {
      const { code } = await storefront.placeOrder({ lines }, { timeoutMs: 5000 }).status
      expect(code === Code.UNAVAILABLE, 'an order without payments ends UNAVAILABLE')
      expect(++orders < 20, 'the circuit opens')
    }

    const { id, metadata } = newRequest('refused')
    await storefront.placeOrder({ lines }, { metadata, timeoutMs: 5000 }).status
    const charge = () =>
      recordsOf(observatory, id).find(({ fields }) => fields['grpc.method'] === 'Charge' && fields['grpc.code'])?.fields
    await eventually(() => charge() !== undefined, 'orders tells what became of the charge')
    expect(charge()?.['grpc.refused_by'] === 'circuitBreaker', 'the breaker refuses without asking payments')
    const refusedMs = Number(charge()?.['grpc.time_ms']).toFixed(1)

    await linger()
    await shop.start('payments')
    const end = performance.now() + 10_000
    while (states().at(-1) !== 'closed') {
      expect(performance.now() < end, 'the circuit closes again')
      await sleep(100)
      await storefront.placeOrder({ lines }, { timeoutMs: 5000 }).status
    }
    expect(states().includes('half-open'), 'it tried before')
    const { code } = await storefront.placeOrder({ lines }, { timeoutMs: 5000 }).status
    expect(code === Code.OK, 'orders are placed again')
    return {
      happened: 'The payments process is killed, and started again.',
      seen: `The circuit went ${['closed', ...states()].join(' → ')}; while open, orders had an answer after ${refusedMs} ms.`,
    }
  },
}

const stateOf = ({ from, name, detail }: Event): string[] =>
  from === 'circuitBreaker' && name === 'stateChange' ? [String(detail.to)] : []
