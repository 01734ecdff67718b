import { status as Code } from '@grpc/grpc-js'
import { heldUp, withFault } from './fault.ts'
import { newRequest, recordsOf } from './request.ts'
import { eventually, expect, type Step } from './step.ts'

export const cancel: Step = {
  name: 'A customer gives up',
  async run(stage) {
    const { people, observatory } = stage
    const { id, metadata } = newRequest('given-up')
    return await withFault(stage, 'payments', { delayMs: 5000 }, async () => {
      const { storefront } = people.get('customer-1')
      const order = storefront.placeOrder({ lines: [{ sku: 'tea', quantity: 1 }] }, { metadata })
      const ended = order.status
      await heldUp(stage, 'payments', id)
      const cancelledAt = performance.now()
      order.cancel()
      expect((await ended).code === Code.CANCELLED, 'the customer sees CANCELLED')
      const cancelled = () =>
        ['storefront', 'orders', 'payments'].filter((service) =>
          recordsOf(observatory, id).some(
            ({ place, fields }) =>
              place === service && fields['grpc.component'] === 'server' && fields['grpc.code'] === 'CANCELLED',
          ),
        )
      await eventually(() => cancelled().length === 3, 'the cancel reaches payments')
      const ms = Math.round(performance.now() - cancelledAt)
      return {
        happened: 'The bank is slow today, and a customer cancels the order.',
        seen: `${cancelled().join(' → ')}: the last service in the chain stopped working ${ms} ms later.`,
      }
    })
  },
}
