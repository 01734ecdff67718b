import { randomUUID } from 'node:crypto'
import { createClient } from '@grpc-stack/grpc-core'
import { InventoryService } from '../generated/shop/inventory.ts'
import { type Order, OrdersService } from '../generated/shop/orders.ts'
import { PaymentsService } from '../generated/shop/payments.ts'
import { hop } from './hop.ts'
import { peer } from './peer.ts'
import type { Peers, Service } from './service.ts'
import { clientStack, serverStack, type Tools } from './stack.ts'

export function orders(tools: Tools, peers: Peers): Service {
  const toInventory = peer(peers.inventory, clientStack(tools))
  const toPayments = peer(peers.payments, clientStack(tools))
  const inventory = createClient(InventoryService, toInventory)
  const payments = createClient(PaymentsService, toPayments)
  return {
    interceptors: [serverStack(tools)],
    channels: [toInventory, toPayments],
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
  }
}
