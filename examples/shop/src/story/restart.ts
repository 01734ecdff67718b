import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { heldUp, withFault } from './fault.ts'
import { newRequest, recordsOf } from './request.ts'
import { expect, type Step } from './step.ts'

const lines = [{ sku: 'honey', quantity: 1 }]

export const restart: Step = {
  name: 'A restart that no customer notices',
  async run(stage) {
    const { people, observatory, shop } = stage
    const { storefront } = people.get('customer-1')
    const before = shop.service('orders').pid
    const first = newRequest('under-way')
    const second = newRequest('meanwhile')

    // The bank takes its time, so that an order is under way when the service is told to go.
    return await withFault(stage, 'payments', { delayMs: 500 }, async () => {
      const underWay = storefront.placeOrder({ lines }, { metadata: first.metadata, timeoutMs: 5000 }).status
      await heldUp(stage, 'payments', first.id)

      const drained = shop.service('orders').drain(3000)
      await sleep(50)
      const meanwhile = storefront.placeOrder({ lines }, { metadata: second.metadata, timeoutMs: 30_000 }).status
      expect((await underWay).code === Code.OK, 'the order under way is finished')
      await drained
      await shop.start('orders')
      const { code, details } = await meanwhile
      expect(code === Code.OK, `an order placed meanwhile waits and succeeds, and does not end with ${details}`)
      expect(shop.service('orders').pid !== before, 'orders is a new process')

      const attempts = recordsOf(observatory, second.id).find(
        ({ place, fields }) => place === 'storefront' && fields['grpc.method'] === 'Place',
      )?.fields['grpc.attempts']
      return {
        happened:
          'Orders is told to go while an order is under way, and is started again; another order comes meanwhile.',
        seen: `The first was finished before the process ended, the second tried ${attempts} times and met the new one.`,
      }
    })
  },
}
