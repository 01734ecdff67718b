import { randomUUID } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { abort } from '@grpc-stack/grpc-core'
import { InventoryService, type Reservation, type StockItem } from '../generated/shop/inventory.ts'
import { hop } from './hop.ts'
import type { Service } from './service.ts'
import { serverStack, type Tools } from './stack.ts'

export function inventory(tools: Tools): Service {
  const shelves = new Map(catalogue().map((item) => [item.sku, item]))
  const find = (sku: string): StockItem =>
    shelves.get(sku) ?? abort(Code.NOT_FOUND, `There is no article ${JSON.stringify(sku)}`)
  return {
    interceptors: [serverStack(tools)],
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
        *list(call): Generator<StockItem> {
          let left = call.request.limit
          for (;;) {
            for (const item of shelves.values()) {
              if (left-- <= 0) return
              yield item
            }
          }
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

function catalogue(): StockItem[] {
  return ['apples', 'bread', 'coffee', 'honey', 'lemons', 'olives', 'rice', 'tea'].map((sku, i) => ({
    sku,
    priceCents: 120 + 85 * i,
    inStock: 10_000,
    description: `${sku}, from the shelf ${i + 1}. `.padEnd(200, '·'),
  }))
}
