// The process of one service: node run-service.js <name>, started by service-process.ts; of inventory perhaps one of several workers.
import cluster from 'node:cluster'
import { ServerCredentials } from '@grpc/grpc-js'
import { createServer, stacks } from '@grpc-stack/grpc-core'
import { HealthService } from '../generated/grpc/health/v1/health.ts'
import { OperationsService } from '../generated/shop/operations.ts'
import { faults } from '../interceptors/faults.ts'
import { healthHandlers } from '../services/health.ts'
import { inventory } from '../services/inventory.ts'
import { orders } from '../services/orders.ts'
import { payments } from '../services/payments.ts'
import type { Service, ServiceName, Tools } from '../services/service.ts'
import { storefront } from '../services/storefront.ts'
import { admission } from '../stacks/admission.ts'
import { startInstruments } from '../telemetry/instruments.ts'
import type { FromWorker, Setup, ToService } from './messages.ts'
import { overseeWorkers, WORKERS } from './workers.ts'

const services: Record<ServiceName, (tools: Tools) => Service | Promise<Service>> = {
  storefront,
  orders,
  inventory,
  payments,
}

const name = process.argv[2] as ServiceName
const setup = JSON.parse(process.env.SHOP_SETUP ?? '') as Setup
const tell = (message: FromWorker): void => {
  if (process.connected) process.send?.(message)
}

async function serve(): Promise<void> {
  const instruments = await startInstruments(name, tell)
  const trouble = faults((requestId) => instruments.event('faults', 'delayed', { requestId }), cluster.worker?.id)
  const service = await services[name]({
    instruments,
    admit: admission(setup.keys),
    faults: trouble,
    peers: setup.peers,
  })
  for (const [path, stack] of Object.entries(service.stacks)) instruments.stack(path, stack)
  const health = healthHandlers()

  const server = createServer({ interceptors: [stacks(service.stacks)] })
  service.register(server)
  server.addService(HealthService, health.handlers)
  server.addService(OperationsService, {
    setFault: async (call) => {
      trouble.set(call.request)
      if (cluster.isWorker) tell({ type: 'fault', fault: call.request })
      return {}
    },
  })
  server.bindAsync(setup.address, ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error
    tell({ type: 'ready', address: `127.0.0.1:${port}` })
  })

  /** Tells health checks, lets calls finish, and leaves nothing behind that keeps the process alive. */
  async function drain(graceMs: number): Promise<void> {
    health.leave()
    await server.drain(graceMs)
    service.close()
    await instruments.stop()
    if (process.connected) process.disconnect()
  }

  process.on('message', (message: ToService) => {
    // The limiter of a worker hears of its primary by the same channel.
    if (message.type === 'drain') void drain(message.graceMs)
    else if (message.type === 'fault') trouble.set(message.fault)
  })
  process.on('SIGTERM', () => void drain(1000))
}

// Ctrl-C in a terminal reaches the whole group; the process that started this one decides when it ends.
process.on('SIGINT', () => {})
// The process that started this one is gone: no other would end it.
process.on('disconnect', () => process.exit())

if (name === 'inventory' && WORKERS > 1 && cluster.isPrimary) await overseeWorkers(setup, tell)
else await serve()
