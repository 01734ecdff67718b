// Two processes of a cluster serve one port. Prints how many of them have answered.
const cluster = require('node:cluster')
const { credentials, ServerCredentials } = require('@grpc/grpc-js')
const { createChannel, createClient, createServer } = require('@grpc-stack/grpc-core')
const { logging } = require('@grpc-stack/interceptor-logging')

const codec = { serialize: (value) => Buffer.from(JSON.stringify(value)), deserialize: (bytes) => JSON.parse(bytes) }
const service = {
  who: {
    path: '/acme.Cluster/Who',
    requestStream: false,
    responseStream: false,
    requestSerialize: codec.serialize,
    requestDeserialize: codec.deserialize,
    responseSerialize: codec.serialize,
    responseDeserialize: codec.deserialize,
  },
}

if (cluster.isPrimary) void primary()
else serve()

function serve() {
  let records = 0
  const count = () => {
    records++
  }
  const logger = { debug: count, info: count, warn: count, error: count }
  const server = createServer({ interceptors: [logging({ logger })] })
  server.addService(service, { who: () => ({ pid: process.pid, records }) })
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error
    process.send(port)
  })
  process.on('disconnect', () => server.forceShutdown())
}

async function primary() {
  const workers = [cluster.fork(), cluster.fork()]
  const ports = await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
  const pids = new Set()
  // A connection goes to one of them; each channel has its own.
  for (let n = 0; n < 20 && pids.size < 2; n++) {
    const channel = createChannel(`127.0.0.1:${ports[0]}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    })
    pids.add((await createClient(service, channel).who({})).pid)
    channel.close()
  }
  for (const worker of workers) worker.disconnect()
  console.log(JSON.stringify({ ports: new Set(ports).size, processes: pids.size }))
}
