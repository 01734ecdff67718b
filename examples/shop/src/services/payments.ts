import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { PaymentsService, type Receipt } from '../generated/shop/payments.ts'
import { hop } from './hop.ts'
import type { Service, Tools } from './service.ts'

const BANK_MS = 8

export function payments({ instruments, admit, faults }: Tools): Service {
  const { observers } = instruments
  const receipts = new Map<string, string>()

  return {
    stacks: {
      'grpc.health.v1.Health': [],
      'shop.operations.Operations': [...observers, admit('operator')],
      'shop.payments.Payments': [...observers, admit('customer', 'staff'), faults],
      '*': observers,
    },

    register(server) {
      server.addService(PaymentsService, {
        charge: async (call): Promise<Receipt> => {
          const { orderId } = call.request
          await sleep(BANK_MS)
          // An order is charged once, however often its charge is tried.
          const id = receipts.get(orderId) ?? randomUUID().slice(0, 8)
          receipts.set(orderId, id)
          return { id, hops: [hop('payments', call)] }
        },
      })
    },

    close() {},
  }
}
