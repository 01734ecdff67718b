// Prints, as JSON, how many bytes each ended call keeps through a minor garbage collection, by side, holder and pattern. Run
// with --expose-gc and a nursery so large that nothing is collected before this asks for it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Writable } from 'node:stream'
import { credentials, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, createClient, createServer, interceptChannel } from '@grpc-stack/grpc-core'

const CALLS = 100
/** Calls at a time: so many that tables of them, here or in Node, are made anew while some are in progress. */
const OVERLAPPING = 10
const BALLAST = 32 * 1024
const SHARED_SIGNAL = 'a signal that calls share'

const ballast = () => new Array(BALLAST / 8).fill(0.5)
const storage = new AsyncLocalStorage()

/** What a call holds on to, in the ways an interceptor makes it do so. */
const holders = {
  nothing: (_call, next) => next(),
  'the call itself': (call, next) => {
    call.held = ballast()
    return next()
  },
  [SHARED_SIGNAL]: (call, next) => {
    call.held = ballast()
    return next()
  },
  'an interceptor that waits': async (_call, next) => {
    const held = ballast()
    const status = await next()
    return held.length > 0 ? status : { code: 2 }
  },
  'a store it entered': (_call, next) => storage.run(ballast(), next),
}

const define = (name, requestStream, responseStream) => {
  const [serialize, deserialize] = [(text) => Buffer.from(text), String]
  return {
    path: `/young.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}
const Echo = {
  unary: define('Unary', false, false),
  serverStream: define('ServerStream', false, true),
  clientStream: define('ClientStream', true, false),
  bidi: define('Bidi', true, true),
  endless: define('Endless', false, false),
}
const implementation = {
  unary: (call) => call.request,
  async *serverStream(call) {
    yield call.request
    yield call.request
  },
  async clientStream(call) {
    let all = ''
    for await (const text of call) all += text
    return all
  },
  async *bidi(call) {
    yield* call
  },
  endless: () => new Promise(() => undefined),
}
const drain = async (stream) => {
  for await (const _ of stream);
}
const calls = {
  unary: (client, options) => client.unary('a', options),
  serverStream: (client, options) => drain(client.serverStream('a', options)),
  clientStream: (client, options) => client.clientStream(['a', 'b'], options),
  bidi: (client, options) => drain(client.bidi(['a', 'b'], options)),
}

/** The same for a writable stream of Node's that was never used. */
async function keptByStreams() {
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < CALLS; n++) {
    new Writable({ write: () => undefined }).held = ballast()
    await new Promise((resolve) => setImmediate(resolve))
  }
  globalThis.gc({ type: 'minor' })
  return Math.round((process.memoryUsage().heapUsed - before) / CALLS)
}

async function kept(side, holder, call) {
  const interceptor = holders[holder]
  const server = createServer({ interceptors: side === 'server' ? [interceptor] : [] })
  server.addService(Echo, implementation)
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const client = createClient(Echo, side === 'client' ? interceptChannel(channel, interceptor) : channel)
  const shared = new AbortController()
  const options = holder === SHARED_SIGNAL ? { signal: shared.signal } : {}
  // One call always waits for the signal, as in a service that has one for its shutdown.
  if (options.signal !== undefined) client.endless('a', options).then(undefined, () => undefined)
  await call(client, options)
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < CALLS; n += OVERLAPPING) {
    await Promise.all(Array.from({ length: OVERLAPPING }, () => call(client, options)))
  }
  // Streams close a few turns of the event loop after their calls have ended.
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
  globalThis.gc({ type: 'minor' })
  const after = process.memoryUsage().heapUsed
  shared.abort()
  channel.close()
  await server.drain(0)
  return Math.round((after - before) / CALLS)
}

/** What is kept each time: a stream that closes after those turns is kept by that alone. */
async function keptEachTime(side, holder, call) {
  const once = await kept(side, holder, call)
  return once < BALLAST / 8 ? once : Math.min(once, await kept(side, holder, call))
}

const results = []
for (const side of ['client', 'server']) {
  for (const holder of Object.keys(holders)) {
    if (side === 'server' && holder === SHARED_SIGNAL) continue
    for (const [pattern, call] of Object.entries(calls)) {
      results.push({ side, holder, pattern, kept: await keptEachTime(side, holder, call) })
    }
  }
}
console.log(JSON.stringify({ calls: results, streams: await keptByStreams() }))
