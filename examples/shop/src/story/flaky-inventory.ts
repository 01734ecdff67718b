import { withFault } from './fault.ts'
import { newRequest, recordsOf } from './request.ts'
import { expect, type Step } from './step.ts'

const ORDERS = 12

export const flakyInventory: Step = {
  name: 'Inventory is flaky',
  async run(stage) {
    const { people, observatory } = stage
    const { storefront } = people.get('customer-1')
    return await withFault(stage, 'inventory', { failOfTen: 4 }, async () => {
      const ids: string[] = []
      for (let i = 0; i < ORDERS; i++) {
        const { id, metadata } = newRequest('flaky')
        await storefront.placeOrder({ lines: [{ sku: 'rice', quantity: 1 }] }, { metadata, timeoutMs: 5000 })
        ids.push(id)
      }
      await stage.linger()
      const failed = ids
        .flatMap((id) => recordsOf(observatory, id))
        .filter(({ place, fields }) => place === 'inventory' && fields['grpc.code'] === 'UNAVAILABLE').length
      expect(failed > 0, 'inventory fails some of the calls')
      return {
        happened: `Inventory fails four calls of ten. ${ORDERS} orders are placed, and all ${ORDERS} succeed.`,
        seen: `Inventory answered UNAVAILABLE ${failed} times; retry in orders tried again, within its budget.`,
      }
    })
  },
}
