// A server of several workers that have one limit for each caller, counted in their primary. Started by cluster.test.ts, which it tells the
// address that all workers share, and what each worker's limiter has counted when it is asked.
import cluster from 'node:cluster'
import { startTestServer } from '@grpc-stack/grpc-testing'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { clusterStore } from '@grpc-stack/interceptor-ratelimit/cluster'

const WORKERS = 4
const store = clusterStore()

if (cluster.isPrimary) {
  const ready = new Set()
  const counters = new Map()
  cluster.on('message', (worker, message) => {
    if (message.address !== undefined) {
      ready.add(worker.id)
      if (ready.size >= WORKERS) process.send({ address: message.address, pids: pids() })
    }
    if (message.counters === undefined) return
    counters.set(worker.id, message.counters)
    if (counters.size === WORKERS) process.send({ counters: [...counters.values()] })
  })
  cluster.on('exit', (worker) => {
    ready.delete(worker.id)
    cluster.fork()
  })
  process.on('message', () => {
    counters.clear()
    for (const worker of Object.values(cluster.workers)) worker.send('counters')
  })
  for (let i = 0; i < WORKERS; i++) cluster.fork()
} else {
  const byCaller = (call) => String(call.metadata.get('caller')[0])
  // More than the default of 50 ms, so that a busy machine decides about no call.
  const timing = { storeTimeoutMs: 1000 }
  const limit = rateLimit({ ...timing, rate: 1, perMs: 86_400_000, burst: 50, key: byCaller, name: 'day', store })
  const server = await startTestServer({ interceptors: [limit] })
  process.on('message', (message) => {
    if (message === 'counters') process.send({ counters: limit.counters() })
  })
  process.send({ address: server.address })
}

function pids() {
  return Object.values(cluster.workers).map((worker) => worker.process.pid)
}
