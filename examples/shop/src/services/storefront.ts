import { createClient } from '@grpc-stack/grpc-core'
import { InventoryService } from '../generated/shop/inventory.ts'
import { type Order, OrdersService } from '../generated/shop/orders.ts'
import { type Article, type BasketTotal, StorefrontService } from '../generated/shop/storefront.ts'
import { hop } from './hop.ts'
import { peer } from './peer.ts'
import type { Peers, Service } from './service.ts'
import { clientStack, serverStack, type Tools } from './stack.ts'

export function storefront(tools: Tools, peers: Peers): Service {
  const toOrders = peer(peers.orders, clientStack(tools))
  const toInventory = peer(peers.inventory, clientStack(tools))
  const orders = createClient(OrdersService, toOrders)
  const inventory = createClient(InventoryService, toInventory)
  return {
    interceptors: [serverStack(tools)],
    channels: [toOrders, toInventory],
    register(server) {
      server.addService(StorefrontService, {
        placeOrder: async (call): Promise<Order> => {
          const here = hop('storefront', call)
          const order = await orders.place({ lines: call.request.lines })
          return { ...order, hops: [here, ...order.hops] }
        },
        // Messages are read from inventory as the customer takes them, no faster.
        async *browse(call): AsyncGenerator<Article> {
          yield* inventory.list({ limit: call.request.limit })
        },
        async *fillBasket(call): AsyncGenerator<BasketTotal> {
          const quantities: number[] = []
          async function* asked() {
            for await (const { sku, quantity } of call) {
              quantities.push(quantity)
              yield { sku }
            }
          }
          let articles = 0
          let totalCents = 0
          for await (const item of inventory.quote(asked())) {
            const quantity = quantities.shift() ?? 0
            articles += quantity
            totalCents += quantity * item.priceCents
            yield { articles, totalCents, available: item.inStock >= quantity }
          }
        },
      })
    },
  }
}
