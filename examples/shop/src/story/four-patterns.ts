import { all, expect, type Step } from './step.ts'

const TIMEOUT_MS = 5000

const basket = [
  { sku: 'bread', quantity: 2 },
  { sku: 'honey', quantity: 1 },
]

export const fourPatterns: Step = {
  name: 'Normal traffic',
  async run({ people }) {
    const { storefront } = people.get('customer-1')
    const { inventory } = people.get('staff-1', 'staff')

    const order = await storefront.placeOrder({ lines: basket }, { timeoutMs: TIMEOUT_MS })
    expect(order.totalCents > 0, 'unary: an order has a total')

    const articles = await all(storefront.browse({ limit: 50 }))
    expect(articles.length === 50, 'server streaming: 50 articles arrive')

    const summary = await inventory.restock(basket)
    expect(summary.parcels === basket.length, 'client streaming: every parcel is counted')

    const totals = await all(storefront.fillBasket(basket))
    expect(totals.length === basket.length, 'bidi: every change is answered')
    expect(totals.at(-1)?.totalCents === order.totalCents, 'bidi: the basket costs what the order did')

    const { hops } = order
    const budgets = hops.map((hop) => hop.budgetMs)
    expect(hops.length === 4, 'four services take part in an order')
    expect(new Set(hops.map((hop) => hop.requestId)).size === 1, 'one request id runs through all of them')
    expect(new Set(hops.map((hop) => hop.traceId)).size === 1, 'so does one trace')
    expect(
      hops.every((hop) => hop.customer === 'customer-1'),
      'each knows the customer',
    )
    expect(
      budgets.every((budget, i) => budget > 0 && budget <= (budgets[i - 1] ?? TIMEOUT_MS)),
      `the time left shrinks hop by hop: ${budgets.join(', ')} ms`,
    )
    return {
      happened: 'An order, the catalogue, a delivery, a basket: all four kinds of RPC, through four processes.',
      seen: `One request id (${hops[0]?.requestId.slice(0, 8)}…) and one trace in all of them; time left ${budgets.join(' → ')} ms.`,
    }
  },
}
