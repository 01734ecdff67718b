import { randomUUID } from 'node:crypto'
import { createClient, propagate } from '@grpc-stack/grpc-core'
import { RetryBudget, type RetryEvent } from '@grpc-stack/interceptor-retry'
import { InventoryService } from '../generated/shop/inventory.ts'
import { type Order, OrdersService } from '../generated/shop/orders.ts'
import { PaymentsService } from '../generated/shop/payments.ts'
import { retrying } from '../stacks/retrying.ts'
import { asCaller, keepCallerToken } from '../tokens/caller-token.ts'
import { hop } from './hop.ts'
import { peer } from './peer.ts'
import type { Service, Tools } from './service.ts'

export function orders(tools: Tools): Service {
  const { instruments, admit, faults } = tools
  const { observers } = instruments

  // Retries of both connections are paid from one budget: an outage may add a little load, never multiply it.
  const budget = new RetryBudget({ ratio: 0.5, minRetriesPerSecond: 5 })
  const onRetry = ({ call, attempts, delayMs }: RetryEvent): void =>
    instruments.event('retry', 'retry', { method: call.method.path, attempts, delayMs })
  instruments.gauge('retry budget', () => budget.available)
  const retries = { initialBackoffMs: 20, budget, onRetry }

  const toInventory = peer(
    'inventory',
    tools,
    ...observers,
    propagate(),
    retrying({ ...retries, maxAttempts: 4 }),
    asCaller(),
  )
  const toPayments = peer(
    'payments',
    tools,
    ...observers,
    propagate(),
    retrying({ ...retries, idempotent: '/shop.payments.Payments/Charge' }),
    asCaller(),
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
          const { totalCents, hops: reserved } = await inventory.reserve({ lines: call.request.lines })
          const { id: receipt, hops: charged } = await payments.charge({ orderId: id, amountCents: totalCents })
          return { id, totalCents, receipt, hops: [here, ...reserved, ...charged] }
        },
      })
    },

    close() {
      toInventory.close()
      toPayments.close()
    },
  }
}
