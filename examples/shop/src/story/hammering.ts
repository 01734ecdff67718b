import { status as Code } from '@grpc/grpc-js'
import { expect, type Step } from './step.ts'

const lines = [{ sku: 'lemons', quantity: 1 }]
const CALLS = 60

export const hammering: Step = {
  name: 'One customer hammers',
  async run({ people }) {
    const greedy = people.get('customer-9').storefront
    const modest = people.get('customer-1').storefront
    const rush = Promise.all(
      Array.from({ length: CALLS }, () => greedy.placeOrder({ lines }, { timeoutMs: 5000 }).status),
    )
    const others = Array.from({ length: 5 }, () => modest.placeOrder({ lines }, { timeoutMs: 5000 }).status)
    const served = await Promise.all(others)
    const ends = await rush
    const limited = ends.filter(({ code }) => code === Code.RESOURCE_EXHAUSTED).length
    expect(limited > 0, 'the customer who hammers is limited')
    expect(
      ends.some(({ code }) => code === Code.OK),
      'but not locked out',
    )
    expect(
      served.every(({ code }) => code === Code.OK),
      'no other customer notices',
    )
    return {
      happened: `One customer sends ${CALLS} orders at once, another five.`,
      seen: `rateLimit in inventory refused ${limited} of the first and none of the other's: each customer has a limit.`,
    }
  },
}
