import { status as Code } from '@grpc/grpc-js'
import { expect, type Step } from './step.ts'

export const whoMayDoWhat: Step = {
  name: 'who may do what',
  async run({ as }) {
    const nobody = as('')
    const customer = as('customer-1')

    const health = await nobody.health('payments').check({ service: '' })
    expect(health.status === 1, 'health is open to everyone')

    const unknown = await nobody.storefront.placeOrder({ lines: [] }).status
    expect(unknown.code === Code.UNAUTHENTICATED, 'an order takes someone')

    const restock = await customer.inventory.restock([{ sku: 'tea', quantity: 1 }]).status
    expect(restock.code === Code.PERMISSION_DENIED, 'a customer may not restock')

    const fault = await customer.operations('payments').setFault({ failOfTen: 10, delayMs: 0 }).status
    expect(fault.code === Code.PERMISSION_DENIED, 'a customer may not operate')
    return {
      happened: 'Everyone may ask for health, customers may order, only staff may restock, only operators operate.',
      seen: 'Each service has its own stack: UNAUTHENTICATED and PERMISSION_DENIED came before any handler ran.',
    }
  },
}
