import type { Fault } from '../generated/shop/operations.ts'
import type { ServiceName } from '../services/service.ts'
import type { Stage } from '../story/step.ts'
import type { Trouble } from './trouble.ts'

const setFault = async ({ people }: Stage, service: ServiceName, fault: Fault): Promise<void> => {
  await people.get('operator-1', 'operator').operations(service).setFault(fault, { timeoutMs: 2000 })
}

const fault = (service: ServiceName, fault: Partial<Fault>): Pick<Trouble, 'start' | 'stop'> => ({
  start: (stage) => setFault(stage, service, { failOfTen: 0, delayMs: 0, ...fault }),
  stop: (stage) => setFault(stage, service, { failOfTen: 0, delayMs: 0 }),
})

export const flakyInventory: Trouble = {
  id: 'flaky-inventory',
  title: 'Inventory is flaky',
  text: 'Four calls of ten fail. Orders and storefront retry; customers see nothing.',
  ...fault('inventory', { failOfTen: 4 }),
}

export const slowBank: Trouble = {
  id: 'slow-bank',
  title: 'The bank is slow',
  text: 'It takes 5 s, customers wait 3 s. The deadline ends the call in every service.',
  ...fault('payments', { delayMs: 5000 }),
}

export const paymentsDown: Trouble = {
  id: 'payments-down',
  title: 'Payments is down',
  text: 'Its process is killed. The circuit in orders opens, and tries now and then.',
  start: ({ shop }) => shop.service('payments').kill(),
  stop: ({ shop }) => shop.start('payments'),
}

export const restartOrders: Trouble = {
  id: 'restart-orders',
  title: 'Orders restarts',
  text: 'It finishes what it has begun, ends, and starts again. The storefront waits.',
  momentary: true,
  async start({ shop }) {
    await shop.service('orders').drain(3000)
    await shop.start('orders')
  },
  async stop() {},
}
