import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { clusterStore } from '@grpc-stack/interceptor-ratelimit/cluster'
import { WorkerPulses } from '../telemetry/worker-pulses.ts'
import type { FromService, FromWorker, Setup, ToService } from './messages.ts'

/** How many processes inventory is, where the environment says so, and one otherwise. */
export const WORKERS = Number(process.env.SHOP_WORKERS) || 1

/**
 * Starts inventory as several workers, each at an address of its own, and speaks for all of them. What they have in common is counted here.
 * One that dies is started again.
 */
export async function overseeWorkers(setup: Setup, tell: (message: FromService) => void): Promise<void> {
  clusterStore() // the workers ask it
  const addresses = setup.address.endsWith(':0') ? await freeAddresses(WORKERS) : addressesIn(setup.address)
  const pulses = new WorkerPulses()
  let draining = false

  const start = (address: string): void => {
    const worker = cluster.fork({ SHOP_SETUP: JSON.stringify({ ...setup, address }) })
    worker.on('message', (message: FromWorker) => hear(worker, address, message))
    worker.once('exit', () => {
      if (!draining) start(address)
      else if (Object.keys(cluster.workers ?? {}).length === 0 && process.connected) process.disconnect()
    })
  }
  const ready = new Set<string>()
  const hear = (worker: Worker, address: string, message: FromWorker): void => {
    // The limiter speaks over the same channel.
    if (message.type === 'ready') {
      console.error(`worker   ${address}   to see what happens without it: kill -9 ${worker.process.pid}`)
      if (ready.add(address).size === WORKERS) tell({ type: 'ready', address: `ipv4:${addresses.join(',')}` })
    } else if (message.type === 'fault') sendAll(message)
    else if (message.type === 'pulse') tell({ ...message, pulse: pulses.add(address, message.pulse) })
    else if (message.type === 'span' || message.type === 'log' || message.type === 'event') tell(message)
  }
  const sendAll = (message: ToService): void => {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker?.isConnected()) worker.send(message)
  }

  for (const address of addresses) start(address)
  process.on('message', (message: ToService) => {
    draining ||= message.type === 'drain'
    sendAll(message)
  })
}

function addressesIn(target: string): string[] {
  return target.replace('ipv4:', '').split(',')
}

/** Workers that listen on port 0 would all have the same. */
async function freeAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const addresses = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return addresses
}
