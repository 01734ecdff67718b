import { all, expect, type Step } from './step.ts'

const basket = [
  { sku: 'bread', quantity: 2 },
  { sku: 'honey', quantity: 1 },
]

export const fourPatterns: Step = {
  name: 'normal traffic',
  async run({ as }) {
    const customer = as('customer-1')
    const staff = as('staff-1', 'staff')

    const order = await customer.storefront.placeOrder({ lines: basket }, { timeoutMs: 2000 })
    expect(order.totalCents > 0, 'unary: an order has a total')

    const articles = await all(customer.storefront.browse({ limit: 50 }))
    expect(articles.length === 50, 'server streaming: 50 articles arrive')

    const summary = await staff.inventory.restock(basket)
    expect(summary.parcels === 2, 'client streaming: both parcels are counted')

    const totals = await all(customer.storefront.fillBasket(basket))
    expect(totals.at(-1)?.totalCents === order.totalCents, 'bidi: the basket costs what the order did')

    const [ids, hops] = [new Set(order.hops.map((hop) => hop.requestId)), order.hops]
    expect(hops.length === 4, 'four services took part in the order')
    expect(ids.size === 1, 'one request id ran through all of them')
    const budgets = hops.map((hop) => hop.budgetMs)
    expect(
      budgets.every((budget, i) => budget > 0 && budget <= (budgets[i - 1] ?? 2000)),
      'the deadline shrinks hop by hop',
    )
    return {
      happened: 'An order, the catalogue, a delivery and a basket: all four kinds of RPC, through four processes.',
      seen: `One request id (${[...ids][0]?.slice(0, 8)}…) in all services; budgets ${budgets.join(' → ')} ms.`,
    }
  },
}
