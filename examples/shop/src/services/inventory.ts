import { randomUUID } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { abort } from '@grpc-stack/grpc-core'
import { InventoryService, type Reservation, type StockItem } from '../generated/shop/inventory.ts'
import { customerLimit } from '../stacks/customer-limit.ts'
import { hop } from './hop.ts'
import type { Service, Tools } from './service.ts'
import { openShelves } from './shelves.ts'

export async function inventory({ instruments, admit, faults }: Tools): Promise<Service> {
  const { observers } = instruments
  const shelves = openShelves()
  const find = (sku: string): StockItem =>
    shelves.get(sku) ?? abort(Code.NOT_FOUND, `There is no article ${JSON.stringify(sku)}`)

  const perCustomer = await customerLimit(instruments)

  return {
    stacks: {
      'grpc.health.v1.Health': [],
      'shop.operations.Operations': [...observers, admit('operator')],
      'shop.inventory.Inventory': [...observers, admit('customer', 'staff'), faults],
      '/shop.inventory.Inventory/Reserve': [...observers, admit('customer', 'staff'), perCustomer.interceptor, faults],
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

    close: perCustomer.close,
  }
}
