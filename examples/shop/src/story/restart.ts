import { eventually, expect, type Step } from './step.ts'

export const restart: Step = {
  name: 'drain and restart',
  async run({ as, shop }) {
    const operator = as('operator-1', 'operator')
    await operator.operations('payments').setFault({ failOfTen: 0, delayMs: 600 })
    const customer = as('customer-1')
    const from = shop.seen.length
    const inFlight = customer.storefront.placeOrder({ lines: [{ sku: 'tea', quantity: 1 }] }, { timeoutMs: 5000 })
    const underway = inFlight.status
    await eventually(
      () => shop.seen.slice(from).some(({ path, side }) => side === 'client' && path.endsWith('/Reserve')),
      'the order is on its way to payments',
    )
    await shop.service('payments').drain(3000)
    expect((await underway).code === 0, 'the order that was under way is finished')
    await shop.start('payments')
    const next = await customer.storefront.placeOrder({ lines: [{ sku: 'tea', quantity: 1 }] }, { timeoutMs: 5000 })
    expect(next.receipt !== '', 'payments is back')
    return {
      happened: 'Payments was told to go while an order was under way, and was started again.',
      seen: 'The order was finished first; the next one met the new process.',
    }
  },
}
