import { randomUUID } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { abort, select, stacks } from '@grpc-stack/grpc-core'
import { principalVar } from '@grpc-stack/interceptor-auth'
import { byPrincipal, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { InventoryService, type Reservation, type StockItem } from '../generated/shop/inventory.ts'
import { hop } from './hop.ts'
import type { Service, Tools } from './service.ts'
import { openShelves } from './shelves.ts'

export function inventory({ observers, admit, faults }: Tools): Service {
  const shelves = openShelves()
  const find = (sku: string): StockItem =>
    shelves.get(sku) ?? abort(Code.NOT_FOUND, `There is no article ${JSON.stringify(sku)}`)

  // One limit for each customer, so that nobody can take the service from the others.
  const perCustomer = rateLimit({ rate: 20, burst: 20, key: byPrincipal(principalVar) })

  return {
    interceptors: [
      stacks({
        'grpc.health.v1.Health': [],
        'shop.operations.Operations': [...observers, admit('operator')],
        '/shop.inventory.Inventory/Restock': [...observers, admit('staff')],
        'shop.inventory.Inventory': [
          ...observers,
          admit('customer', 'staff'),
          select({ method: 'Reserve' }, perCustomer),
          faults,
        ],
        '*': observers,
      }),
    ],
    channels: [],
    register(server) {
      server.addService(InventoryService, {
        reserve: async (call): Promise<Reservation> => {
          const lines = call.request.lines.map(({ sku, quantity }) => ({ item: find(sku), quantity }))
          const totalCents = lines.reduce((sum, { item, quantity }) => sum + item.priceCents * quantity, 0)
          return { id: randomUUID().slice(0, 8), totalCents, hops: [hop('inventory', call)] }
        },

        async *quote(call): AsyncGenerator<StockItem> {
          for await (const { sku } of call) yield find(sku)
        },

        // The next item is taken from its shelf when the caller is ready for it, not before.
        *list(call): Generator<StockItem> {
          const items = [...shelves.values()]
          for (let i = 0; i < call.request.limit; i++) yield items[i % items.length]!
        },

        restock: async (call) => {
          let parcels = 0
          let articles = 0
          for await (const { sku, quantity } of call) {
            const item = find(sku)
            shelves.set(sku, { ...item, inStock: item.inStock + quantity })
            parcels++
            articles += quantity
          }
          return { parcels, articles }
        },
      })
    },
  }
}
