import { createClient } from '@grpc-stack/grpc-core'
import { RetryBudget, retry } from '@grpc-stack/interceptor-retry'
import { InventoryService } from '../generated/shop/inventory.ts'
import { type Order, OrdersService } from '../generated/shop/orders.ts'
import { type Article, type BasketTotal, StorefrontService } from '../generated/shop/storefront.ts'
import { externalAuthorization } from '../stacks/external-authorization.ts'
import { keepCallerToken } from '../tokens/caller-token.ts'
import { hop } from './hop.ts'
import { peer } from './peer.ts'
import type { Service, Tools } from './service.ts'

export async function storefront(tools: Tools): Promise<Service> {
  const { instruments, admit, faults } = tools
  const { observers } = instruments
  const external = await externalAuthorization(instruments)

  const toOrders = peer(
    'orders',
    tools,
    // Long enough for orders to be started again, also on a busy machine. Each customer who waits tries twice a second, which is more
    // than the usual budget grants all of them together.
    retry({
      maxAttempts: 60,
      initialBackoffMs: 100,
      maxBackoffMs: 500,
      jitter: 'proportional',
      budget: new RetryBudget({ minRetriesPerSecond: 50 }),
    }),
  )
  // Streams, too: as long as nothing has been answered, they can be tried again.
  const toInventory = peer('inventory', tools, retry({ maxAttempts: 4, initialBackoffMs: 20 }))
  const orders = createClient(OrdersService, toOrders)
  const inventory = createClient(InventoryService, toInventory)

  return {
    stacks: {
      'grpc.health.v1.Health': [],
      'shop.operations.Operations': [...observers, admit('operator')],
      'shop.storefront.Storefront': [
        ...observers,
        admit('customer', 'staff'),
        ...external.interceptors,
        keepCallerToken(),
        faults,
      ],
      '*': observers,
    },

    register(server) {
      server.addService(StorefrontService, {
        placeOrder: async (call): Promise<Order> => {
          const here = hop('storefront', call)
          const order = await orders.place({ lines: call.request.lines })
          return { ...order, hops: [here, ...order.hops] }
        },

        // Articles are asked for as the customer reads them, no faster.
        async *browse(call): AsyncGenerator<Article> {
          yield* inventory.list({ limit: call.request.limit })
        },

        async *fillBasket(call): AsyncGenerator<BasketTotal> {
          const asked: number[] = []
          async function* changes() {
            for await (const { sku, quantity } of call) {
              asked.push(quantity)
              yield { sku }
            }
          }
          let articles = 0
          let totalCents = 0
          // Quotes come in the order they were asked for.
          for await (const item of inventory.quote(changes())) {
            const quantity = asked.shift() ?? 0
            articles += quantity
            totalCents += quantity * item.priceCents
            yield { articles, totalCents, available: item.inStock >= quantity }
          }
        },
      })
    },

    close() {
      toOrders.close()
      toInventory.close()
    },
  }
}
