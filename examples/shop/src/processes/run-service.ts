// The process of one service: node run-service.js <name>, started by shop.ts. Environment: SHOP_PEERS holds the addresses
// of the services started before as JSON, SHOP_ADDRESS the address to listen on.
import { ServerCredentials } from '@grpc/grpc-js'
import { createServer } from '@grpc-stack/grpc-core'
import { HealthService } from '../generated/grpc/health/v1/health.ts'
import { OperationsService } from '../generated/shop/operations.ts'
import { faults } from '../interceptors/faults.ts'
import { inventory } from '../services/inventory.ts'
import { orders } from '../services/orders.ts'
import { payments } from '../services/payments.ts'
import type { Peers, Service, ServiceName } from '../services/service.ts'
import type { Tools } from '../services/stack.ts'
import { storefront } from '../services/storefront.ts'
import { healthHandlers } from './health.ts'
import type { FromService, ToService } from './messages.ts'

const factories: Record<ServiceName, (tools: Tools, peers: Peers) => Service> = {
  storefront,
  orders,
  inventory,
  payments,
}

const name = process.argv[2] as ServiceName
const peers = JSON.parse(process.env.SHOP_PEERS ?? '{}') as Peers
const tell = (message: FromService): void => {
  if (process.connected) process.send?.(message)
}

const tools: Tools = {
  report: (observation) => tell({ type: 'observed', service: name, observation }),
  faults: faults(),
}
const service = factories[name](tools, peers)
const server = createServer({ interceptors: service.interceptors })
service.register(server)
const health = healthHandlers()
server.addService(HealthService, health.handlers)
server.addService(OperationsService, {
  setFault: async (call) => {
    tools.faults.set(call.request)
    return {}
  },
})

server.bindAsync(process.env.SHOP_ADDRESS ?? '127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  tell({ type: 'ready', address: `127.0.0.1:${port}` })
})

/** Says goodbye to health checks, lets calls finish, and leaves nothing that keeps the process alive. */
async function drain(graceMs: number): Promise<void> {
  health.leave()
  await server.drain(graceMs)
  for (const channel of service.channels) channel.close()
  tell({ type: 'drained' })
  if (process.connected) process.disconnect()
}

process.on('message', (message: ToService) => void drain(message.graceMs))
process.on('SIGTERM', () => void drain(1000))
// Ctrl-C reaches the whole group; whoever started this process decides what becomes of it.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
