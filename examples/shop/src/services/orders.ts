import { randomUUID } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { createClient } from '@grpc-stack/grpc-core'
import { retry } from '@grpc-stack/interceptor-retry'
import { InventoryService } from '../generated/shop/inventory.ts'
import { type Order, OrdersService } from '../generated/shop/orders.ts'
import { PaymentsService } from '../generated/shop/payments.ts'
import { paymentsBreaker } from '../stacks/payments-breaker.ts'
import { sharedRetries } from '../stacks/retries.ts'
import { keepCallerToken } from '../tokens/caller-token.ts'
import { hop } from './hop.ts'
import { passOn } from './pass-on.ts'
import { peer } from './peer.ts'
import type { Service, Tools } from './service.ts'

export function orders(tools: Tools): Service {
  const { instruments, admit, faults } = tools
  const { observers } = instruments

  const retries = sharedRetries(instruments)
  const toInventory = peer(
    'inventory',
    tools,
    // A customer over the limit is told when to come back; haste must not use up the budget of all the others.
    retry({
      ...retries,
      maxAttempts: 4,
      retryIf: ({ code }) => (code === Code.RESOURCE_EXHAUSTED ? false : undefined),
    }),
  )
  const toPayments = peer(
    'payments',
    tools,
    retry({ ...retries, idempotent: '/shop.payments.Payments/Charge' }),
    paymentsBreaker(instruments),
  )
  const inventory = createClient(InventoryService, toInventory)
  const payments = createClient(PaymentsService, toPayments)

  return {
    stacks: {
      'grpc.health.v1.Health': [],
      'shop.operations.Operations': [...observers, admit('operator')],
      'shop.orders.Orders': [...observers, admit('customer', 'staff'), keepCallerToken(), faults],
      '*': observers,
    },

    register(server) {
      server.addService(OrdersService, {
        place: async (call): Promise<Order> => {
          const here = hop('orders', call)
          const id = randomUUID().slice(0, 8)
          try {
            const { totalCents, hops: reserved } = await inventory.reserve({ lines: call.request.lines })
            const { id: receipt, hops: charged } = await payments.charge({ orderId: id, amountCents: totalCents })
            return { id, totalCents, receipt, hops: [here, ...reserved, ...charged] }
          } catch (error) {
            return passOn(error)
          }
        },
      })
    },

    close() {
      toInventory.close()
      toPayments.close()
    },
  }
}
