// A gRPC server in each of four workers of Node's cluster, behind one port, and one scrape of all of them by the primary process.
// Prints what was scraped, and what each worker says by itself. With the argument "exemplars", workers have registries of type OpenMetrics
// and an exemplar for each call. Runs compiled files.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { credentials } from '@grpc/grpc-js'
import { runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { AggregatorRegistry, Registry, register } from 'prom-client'

// In a worker it answers the primary process.
const workers = new AggregatorRegistry()

if (cluster.isPrimary) {
  const forked = Array.from({ length: 4 }, () => cluster.fork())
  const [address] = await Promise.all(forked.map(said))
  // Node hands each new connection to the next worker.
  for (let calls = 1; calls <= 4; calls++) {
    const client = new TestClient(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    for (let i = 0; i < calls; i++) await runRpc(client, 'unary')
    client.close()
  }
  const own = []
  for (const worker of forked) {
    worker.send('own')
    own.push(await said(worker))
  }
  console.log(JSON.stringify({ scraped: await workers.clusterMetrics(), own }))
  for (const worker of forked) worker.disconnect()
} else {
  const exemplars = process.argv.includes('exemplars')
  const registry = exemplars ? new Registry(Registry.OPENMETRICS_CONTENT_TYPE) : register
  AggregatorRegistry.setRegistries([registry])
  const recorder = prometheus({ registry, exemplar: exemplars && (() => ({ worker: String(cluster.worker.id) })) })
  const server = await startTestServer({ interceptors: [metrics({ recorder })] })
  process.on('message', async (message) => {
    if (message === 'own') process.send({ said: await registry.metrics() })
  })
  process.once('disconnect', () => server.stop())
  process.send({ said: server.address })
}

/** The next thing a worker says, apart from what prom-client does. */
async function said(worker) {
  for (;;) {
    const [message] = await once(worker, 'message')
    if ('said' in message) return message.said
  }
}
