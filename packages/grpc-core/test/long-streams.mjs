// Prints, as JSON, how much memory a server of createServer gains, in bytes, for each way of answering a stream: what is left after a
// garbage collection while the stream still goes on, and how far its resident set grew. Run with --expose-gc. The client, which reads
// with pauses, is another process.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { credentials, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, createClient, createServer } from '@grpc-stack/grpc-core'

const MESSAGES = 60_000
const BYTES = 4096
const PAUSE_AFTER = 500

const define = (name, requestStream) => ({
  path: `/long.Streams/${name}`,
  requestStream,
  responseStream: true,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
})
const Streams = {
  'an async generator': define('AsyncGenerator', false),
  'a generator': define('Generator', true),
  'a promised iterable': define('Promised', false),
}

/** Reads each stream when told to, tells when it has all messages, and then waits for its end. */
async function readAsClient(port) {
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const client = createClient(Streams, channel)
  for await (const [name] of messagesTo(process)) {
    const input = Streams[name].requestStream ? [Buffer.alloc(1)] : Buffer.alloc(1)
    let count = 0
    for await (const _ of client[name](input)) {
      if (++count % PAUSE_AFTER === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      if (count === MESSAGES) process.send('all')
    }
    process.send(count)
  }
}

async function* messagesTo(receiver) {
  for (;;) yield await once(receiver, 'message')
}

function serveStreams() {
  let release
  let released
  const hold = () => {
    released = new Promise((resolve) => {
      release = resolve
    })
  }
  async function* asyncGenerator() {
    for (let n = 0; n < MESSAGES; n++) yield Buffer.alloc(BYTES, n)
    await released
  }
  function* generator() {
    for (let n = 0; n < MESSAGES; n++) yield Buffer.alloc(BYTES, n)
    yield released.then(() => Buffer.alloc(1))
  }
  const server = createServer()
  server.addService(Streams, {
    'an async generator': asyncGenerator,
    'a generator': generator,
    'a promised iterable': async () => ({ [Symbol.asyncIterator]: asyncGenerator }),
  })
  return { server, hold, release: () => release() }
}

async function measure() {
  const { server, hold, release } = serveStreams()
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const client = fork(fileURLToPath(import.meta.url), [String(port)], { execArgv: [] })
  const results = {}
  for (const name of Object.keys(Streams)) {
    hold()
    globalThis.gc()
    const before = process.memoryUsage()
    client.send(name)
    await once(client, 'message')
    const { rss } = process.memoryUsage()
    for (let n = 0; n < 2; n++) {
      await new Promise((resolve) => setImmediate(resolve))
      globalThis.gc()
    }
    const { heapUsed, external } = process.memoryUsage()
    release()
    const [received] = await once(client, 'message')
    results[name] = { kept: heapUsed + external - before.heapUsed - before.external, rss: rss - before.rss, received }
  }
  // Bun does not end a process that waits for messages of a parent that has disconnected.
  client.kill()
  server.forceShutdown()
  console.log(JSON.stringify(results))
}

const [port] = process.argv.slice(2)
await (port === undefined ? measure() : readAsClient(port))
