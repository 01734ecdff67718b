// What retry() costs a call that succeeds at once:
//
//     npx tsc -b packages/interceptor-retry/tsconfig.build.json && node packages/interceptor-retry/bench/first-attempt.mjs
//
// First over a real connection, as client CPU per unary call: a client process per contestant, because code that serves
// several shapes of call in one process is slower for all of them, and one server process for all. Rounds are short and
// many, so that what else the machine does hits all alike. That still varies by a percent or two, so then without a
// connection: the same engine over a call that answers by itself, which shows the difference alone.
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
  'no interceptors': () => [],
  'one that passes on': () => clientInterceptors((_call, next) => next()),
  'one that awaits': () => clientInterceptors(async (_call, next) => await next()),
  'retry()': () => clientInterceptors(retry()),
  'retry(), attempts of 1 s': () => clientInterceptors(retry({ perAttemptTimeoutMs: 1000 })),
}
const CONCURRENCY = 64
const WARM_UP = 40_000
const CALLS = 1500
const ROUNDS = 12
/** How often the client processes are started anew: two that do the same can differ by several percent for all their life. */
const GENERATIONS = 8

/** CPU of this process per call, in µs. */
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

/** Each round runs all of them, in random order. A contestant takes a number of calls and tells their cost. */
async function rounds(contestants, calls, count) {
  const figures = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
  for (let round = 0; round < count; round++) {
    const order = Object.keys(contestants).sort(() => Math.random() - 0.5)
    for (const name of order) figures[name].push(await contestants[name](calls))
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
    const percent = midmean(values.map((value, round) => (value / base[round] - 1) * 100))
    console.log(`  ${name.padEnd(28)} ${more.toFixed(2).padStart(8)} µs more, ${percent.toFixed(1).padStart(5)} %`)
  }
}

function start(...args) {
  return fork(fileURLToPath(import.meta.url), args)
}

async function overAConnection() {
  const server = start('serve')
  const [port] = await once(server, 'message')
  const figures = Object.fromEntries(Object.keys(stacks).map((name) => [name, []]))
  for (let generation = 0; generation < GENERATIONS; generation++) {
    const children = Object.keys(stacks).map((name) => [name, start('call', name, port)])
    const contestants = Object.fromEntries(
      children.map(([name, child]) => [
        name,
        async (calls) => {
          child.send(calls)
          const [cost] = await once(child, 'message')
          return cost
        },
      ]),
    )
    await rounds(contestants, WARM_UP / 4, 4)
    for (const [name, values] of Object.entries(await rounds(contestants, CALLS, ROUNDS))) {
      figures[name].push(midmean(values))
    }
    for (const [, child] of children) child.disconnect()
  }
  report(`over a connection, ${GENERATIONS} processes each`, figures)
  server.disconnect()
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
  const ignore = () => undefined
  const contestants = Object.fromEntries(
    Object.entries(stacks)
      .map(([name, make]) => [name, make()])
      .filter(([, interceptors]) => interceptors.length > 0)
      .map(([name, [interceptor]]) => {
        const call = () =>
          new Promise((resolve) => {
            const opened = interceptor(options, nextCall)
            opened.start(new Metadata(), {
              onReceiveMetadata: ignore,
              onReceiveMessage: ignore,
              onReceiveStatus: resolve,
            })
            opened.startRead()
            opened.sendMessage('request')
            opened.halfClose()
          })
        return [name, (calls) => cpuPerCall(calls, call)]
      }),
  )
  await rounds(contestants, 20_000, 2)
  report('the engine alone', await rounds(contestants, 5000, 60))
}

/** A client process: runs as many calls as it is told to. */
function call(name, port) {
  const Client = makeClientConstructor({ get }, 'bench.Echo')
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { interceptors: stacks[name]() })
  const request = Buffer.alloc(100)
  const one = () =>
    new Promise((resolve, reject) => client.get(request, (error) => (error ? reject(error) : resolve())))
  process.on('message', async (calls) => process.send(await cpuPerCall(calls, one)))
}

function serve() {
  const server = new Server()
  server.addService({ get }, { get: (call, respond) => respond(null, call.request) })
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => process.send(port))
}

const [role, ...args] = process.argv.slice(2)
if (role === undefined) {
  console.log(`Node ${process.version}`)
  await overAConnection()
  await withoutAConnection()
} else {
  process.on('disconnect', () => process.exit())
  if (role === 'serve') serve()
  else call(...args)
}
