import { randomUUID } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { abort } from '@grpc-stack/grpc-core'
import { principalVar } from '@grpc-stack/interceptor-auth'
import { byPrincipal, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { InventoryService, type Reservation, type StockItem } from '../generated/shop/inventory.ts'
import { openLimitStore } from '../stacks/limit-store.ts'
import { hop } from './hop.ts'
import type { Service, Tools } from './service.ts'
import { openShelves } from './shelves.ts'

export async function inventory({ instruments, admit, faults }: Tools): Promise<Service> {
  const { observers } = instruments
  const shelves = openShelves()
  const find = (sku: string): StockItem =>
    shelves.get(sku) ?? abort(Code.NOT_FOUND, `There is no article ${JSON.stringify(sku)}`)

  // A limit for each customer, so that no customer can take the service from the others.
  const limits = await openLimitStore()
  const perCustomer = rateLimit({ name: 'per-customer', rate: 20, key: byPrincipal(principalVar), ...limits.options })
  instruments.gauge('limiter', () => ({ ...perCustomer.counters(), store: limits.name }))
  perCustomer.on('refused', ({ keys, waitMs }) => instruments.event('rateLimit', 'refused', { key: keys[0], waitMs }))

  return {
    stacks: {
      'grpc.health.v1.Health': [],
      'shop.operations.Operations': [...observers, admit('operator')],
      'shop.inventory.Inventory': [...observers, admit('customer', 'staff'), faults],
      '/shop.inventory.Inventory/Reserve': [...observers, admit('customer', 'staff'), perCustomer, faults],
      '/shop.inventory.Inventory/Restock': [...observers, admit('staff')],
      '*': observers,
    },

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

    close: limits.close,
  }
}
