// What retry() costs a call that succeeds at once:
//
//     npx tsc -b packages/interceptor-retry/tsconfig.build.json && node packages/interceptor-retry/bench/first-attempt.mjs
//
// First over a real connection to a server process, as client CPU per unary call. That varies by more than is looked for, so
// then without a connection: the same engine over a call that answers by itself, which shows the difference alone.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { credentials, Metadata, makeClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js'
import { clientInterceptors } from '@grpc-stack/grpc-core'
import { retry } from '@grpc-stack/interceptor-retry'

const bytes = (message) => message
const get = {
  path: '/bench.Echo/Get',
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
}
const stacks = {
  'no interceptors': [],
  'one that passes on': clientInterceptors((_call, next) => next()),
  'one that awaits': clientInterceptors(async (_call, next) => await next()),
  'retry()': clientInterceptors(retry()),
  'retry(), attempts of 1 s': clientInterceptors(retry({ perAttemptTimeoutMs: 1000 })),
}
const CONCURRENCY = 16

async function cpuPerCall(calls, call) {
  const began = process.cpuUsage()
  let left = calls
  const worker = async () => {
    while (left-- > 0) await call()
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  const { user, system } = process.cpuUsage(began)
  return (user + system) / calls
}

/** Each round runs all of them, in random order, so that what else the machine does hits all alike. */
async function rounds(contestants, calls, count) {
  const figures = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
  for (let round = 0; round < count; round++) {
    const order = Object.keys(contestants).sort(() => Math.random() - 0.5)
    for (const name of order) figures[name].push(await cpuPerCall(calls, contestants[name]))
  }
  return figures
}

/** The mean without the highest and the lowest quarter. */
function midmean(values) {
  const middle = values.toSorted((a, b) => a - b).slice(values.length / 4, (values.length * 3) / 4)
  return middle.reduce((sum, value) => sum + value) / middle.length
}

function report(what, figures) {
  const [[first, base]] = Object.entries(figures)
  console.log(`${what}, client CPU per call: ${first} ${midmean(base).toFixed(2)} µs`)
  for (const [name, values] of Object.entries(figures).slice(1)) {
    const more = midmean(values.map((value, round) => value - base[round]))
    console.log(`  ${name.padEnd(28)} ${more.toFixed(2).padStart(8)} µs more`)
  }
}

async function overAConnection() {
  const child = fork(fileURLToPath(import.meta.url), ['serve'])
  const [port] = await once(child, 'message')
  const Client = makeClientConstructor({ get }, 'bench.Echo')
  const request = Buffer.alloc(100)
  const clients = []
  const contestants = Object.fromEntries(
    Object.entries(stacks).map(([name, interceptors]) => {
      const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { interceptors })
      clients.push(client)
      const call = () =>
        new Promise((resolve, reject) => client.get(request, (error) => (error ? reject(error) : resolve())))
      return [name, call]
    }),
  )
  await rounds(contestants, 1000, 3)
  report('over a connection', await rounds(contestants, 150, 400))
  for (const client of clients) client.close()
  child.kill()
}

async function withoutAConnection() {
  const trailers = new Metadata()
  const nextCall = () => {
    let listener
    return {
      start: (_metadata, given) => {
        listener = given
      },
      sendMessage: () => undefined,
      sendMessageWithContext: () => undefined,
      startRead: () => undefined,
      cancelWithStatus: () => undefined,
      getPeer: () => 'nobody',
      halfClose: () =>
        process.nextTick(() => {
          listener.onReceiveMetadata(trailers)
          listener.onReceiveMessage('response')
          listener.onReceiveStatus({ code: 0, details: '', metadata: trailers })
        }),
    }
  }
  const options = { method_definition: get }
  const contestants = Object.fromEntries(
    Object.entries(stacks)
      .filter(([, interceptors]) => interceptors.length > 0)
      .map(([name, [interceptor]]) => {
        const call = () =>
          new Promise((resolve) => {
            const opened = interceptor(options, nextCall)
            const ignore = () => undefined
            opened.start(new Metadata(), {
              onReceiveMetadata: ignore,
              onReceiveMessage: ignore,
              onReceiveStatus: resolve,
            })
            opened.startRead()
            opened.sendMessage('request')
            opened.halfClose()
          })
        return [name, call]
      }),
  )
  await rounds(contestants, 20_000, 2)
  report('the engine alone', await rounds(contestants, 5000, 60))
}

if (process.argv[2] === 'serve') {
  const server = new Server()
  server.addService({ get }, { get: (call, respond) => respond(null, call.request) })
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => process.send(port))
  process.on('disconnect', () => process.exit())
} else {
  console.log(`Node ${process.version}`)
  await overAConnection()
  await withoutAConnection()
}
