import { status as Code } from '@grpc/grpc-js'
import { eventually, expect, type Step } from './step.ts'

export const cancel: Step = {
  name: 'a cancel',
  async run({ as, shop }) {
    const operator = as('operator-1', 'operator')
    const slow = operator.operations('payments')
    await slow.setFault({ failOfTen: 0, delayMs: 5000 })

    const from = shop.seen.length
    const order = as('customer-1').storefront.placeOrder({ lines: [{ sku: 'tea', quantity: 1 }] }, { timeoutMs: 4000 })
    await eventually(
      () => shop.seen.slice(from).some(({ path, side }) => side === 'client' && path.endsWith('/Reserve')),
      'the order is on its way to payments',
    )
    order.cancel()
    const ended = await order.status
    expect(ended.code === Code.CANCELLED, 'the customer sees CANCELLED')
    const cancelled = () =>
      shop.seen
        .slice(from)
        .filter(({ side, code }) => side === 'server' && code === Code.CANCELLED)
        .map(({ service }) => service)
    await eventually(() => cancelled().includes('payments'), 'the cancel reaches payments')
    await slow.setFault({ failOfTen: 0, delayMs: 0 })
    return {
      happened: 'The bank is slow; the customer gives up and cancels.',
      seen: `The cancel ran down the chain: ${['storefront', 'orders', 'payments'].filter((name) => cancelled().includes(name as 'orders')).join(' → ')} saw CANCELLED.`,
    }
  },
}
