import { status as Code } from '@grpc/grpc-js'
import { expect, type Step } from './step.ts'

export const whoMayDoWhat: Step = {
  name: 'Who may do what',
  async run({ people }) {
    const stranger = people.stranger()
    const customer = people.get('customer-1')

    const health = await stranger.health('payments').check({ service: '' })
    expect(health.status === 1, 'health is open to everybody')

    const order = await stranger.storefront.placeOrder({ lines: [] }).status
    expect(order.code === Code.UNAUTHENTICATED, 'a stranger may not order')

    const restock = await customer.inventory.restock([{ sku: 'tea', quantity: 1 }]).status
    expect(restock.code === Code.PERMISSION_DENIED, 'a customer may not restock')

    const fault = await customer.operations('payments').setFault({ failOfTen: 10, delayMs: 0 }).status
    expect(fault.code === Code.PERMISSION_DENIED, 'a customer may not operate a service')
    return {
      happened: 'A stranger asks for health and is answered, orders and is not; a customer tries what is for staff.',
      seen: 'A stack per service: health has none, the others refused with UNAUTHENTICATED and PERMISSION_DENIED.',
    }
  },
}
