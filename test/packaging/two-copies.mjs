// Run in a project that holds two versions of the packages: one of its own, and one that `acme` brings. With the argument
// `commonjs` the second copy is of the same version, loaded by require(). Prints what happened.
import { createRequire } from 'node:module'
import { credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import * as core from '@grpc-stack/grpc-core'
import * as auth from '@grpc-stack/interceptor-auth'
import * as logging from '@grpc-stack/interceptor-logging'
import * as prom from '@grpc-stack/interceptor-metrics/prometheus'
import * as retries from '@grpc-stack/interceptor-retry'
import * as next from 'acme-next'

const require = createRequire(import.meta.url)
const own = { core, auth, logging, prom, retries }
const acme =
  process.argv[2] === 'commonjs'
    ? {
        core: require('@grpc-stack/grpc-core'),
        auth: require('@grpc-stack/interceptor-auth'),
        logging: require('@grpc-stack/interceptor-logging'),
        prom: require('@grpc-stack/interceptor-metrics/prometheus'),
        retries: require('@grpc-stack/interceptor-retry'),
      }
    : await import('acme')
const happened = {}

const json = { serialize: (value) => Buffer.from(JSON.stringify(value)), deserialize: (bytes) => JSON.parse(bytes) }
const method = (name, requestStream, responseStream) => ({
  path: `/acme.Test/${name}`,
  requestStream,
  responseStream,
  requestSerialize: json.serialize,
  requestDeserialize: json.deserialize,
  responseSerialize: json.serialize,
  responseDeserialize: json.deserialize,
})
const service = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  bidi: method('Bidi', true, true),
}

/** A server whose handlers answer with what `answer` says. */
async function serve(server, answer) {
  async function* answers(call) {
    yield await answer(call)
  }
  const plain = server.constructor === Server
  const stream = async (call) => {
    try {
      call.write(await answer(call))
      call.end()
    } catch (error) {
      call.emit('error', error)
    }
  }
  const unary = (call, callback) => {
    answer(call).then(
      (value) => callback(null, value),
      (error) => callback(error),
    )
  }
  server.addService(service, {
    unary,
    clientStream: unary,
    serverStream: plain ? stream : answers,
    bidi: plain ? stream : answers,
  })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() }
}

/** One call: what came, or the code and the text of how it failed. */
async function call(client, name, options) {
  const requests = service[name].requestStream ? [{ n: 1 }] : { n: 1 }
  try {
    const rpc = client[name](requests, options)
    if (!service[name].responseStream) return await rpc
    const responses = []
    for await (const response of rpc) responses.push(response)
    return responses[0]
  } catch (error) {
    return `${error.code} ${error.details}`
  }
}

/** What every pattern comes to, if that is the same for all, else each. */
async function calls(client, options) {
  const results = []
  for (const name of Object.keys(service)) results.push(await call(client, name, options()))
  return results.every((result) => JSON.stringify(result) === JSON.stringify(results[0])) ? results[0] : results
}

async function scenario(name, run) {
  const closers = []
  try {
    happened[name] = await run((closer) => closers.push(closer))
  } catch (error) {
    happened[name] = `threw ${error.stack}`
  }
  for (const close of closers) close()
}

const channelTo = (kit, address, defer) => {
  const channel = kit.core.createChannel(address, credentials.createInsecure())
  defer(() => channel.close())
  return channel
}

const named = (log, name) => (_call, next) => {
  log.push(name)
  return next()
}

const bearer = () => {
  const metadata = new Metadata()
  metadata.set('authorization', 'Bearer ada')
  metadata.set('x-request-id', 'request-1')
  return { metadata }
}

happened.copies = {
  core: core.RpcError !== acme.core.RpcError,
  auth: auth.serverAuth !== acme.auth.serverAuth,
  logging: logging.requestId !== acme.logging.requestId,
  prom: prom.prometheus !== acme.prom.prometheus,
}

// First, while neither copy has been told yet that there are request ids.
await scenario('request id in a record of the other copy', async (defer) => {
  const records = []
  const write = (fields) => records.push(fields)
  const logger = { debug: write, info: write, warn: write, error: write }
  const interceptors = [own.logging.requestId(), acme.logging.logging({ logger })]
  const { address, stop } = await serve(own.core.createServer({ interceptors }), async () => ({}))
  defer(stop)
  await calls(own.core.createClient(service, channelTo(own, address, defer)), bearer)
  return records.map((record) => JSON.stringify(record).includes('request-1'))
})

await scenario('recorder of a registry', () => {
  const recorder = own.prom.prometheus()
  recorder.preregister(service)
  return acme.prom.prometheus() === recorder
})

for (const [which, a, b] of [
  ['own on acme', own, acme],
  ['acme on own', acme, own],
]) {
  const interceptors = () => [
    a.logging.requestId(),
    a.core.chain(a.auth.serverAuth({ verify: async (token) => ({ subject: token }) })),
  ]
  const handler = async () => ({
    principal: b.auth.principalVar.get(undefined)?.subject,
    requestId: b.logging.requestIdVar.get('none'),
  })
  await scenario(`${which}: principal and request id in a handler, createServer`, async (defer) => {
    const { address, stop } = await serve(b.core.createServer({ interceptors: interceptors() }), handler)
    defer(stop)
    return calls(b.core.createClient(service, channelTo(a, address, defer)), bearer)
  })
  await scenario(`${which}: principal and request id in a handler, stock server`, async (defer) => {
    const server = new Server({ interceptors: b.core.serverInterceptors(...interceptors()) })
    const { address, stop } = await serve(server, handler)
    defer(stop)
    return calls(b.core.createClient(service, channelTo(a, address, defer)), bearer)
  })
  await scenario(`${which}: propagate`, async (defer) => {
    const deadlines = []
    const backend = await serve(b.core.createServer(), async () => ({}))
    defer(backend.stop)
    const onward = a.core.interceptChannel(channelTo(a, backend.address, defer), a.core.propagate(), (rpc, next) => {
      deadlines.push(Number.isFinite(rpc.deadline))
      return next()
    })
    const front = await serve(b.core.createServer({ interceptors: [(_call, next) => next()] }), async () => {
      await a.core.createClient(service, onward).unary({})
      return {}
    })
    defer(front.stop)
    await calls(b.core.createClient(service, channelTo(b, front.address, defer)), () => ({ timeoutMs: 20_000 }))
    return deadlines
  })
  await scenario(`${which}: interceptors of a channel`, async (defer) => {
    const { address, stop } = await serve(b.core.createServer(), async () => ({}))
    defer(stop)
    const log = []
    const channel = a.core.interceptChannel(channelTo(a, address, defer), named(log, 'channel'))
    await call(b.core.createClient(service, channel), 'unary')
    await call(b.core.createClient(service, b.core.interceptChannel(channel, named(log, 'added'))), 'bidi')
    await call(b.core.createClient(service, channel), 'unary', {
      interceptors: [a.core.select('*', a.core.stacks({ '*': named(log, 'call') }))],
    })
    return log.join(' ')
  })
  await scenario(`${which}: errors of a handler and an interceptor`, async (defer) => {
    const fail = () => {
      throw new a.core.RpcError(status.FAILED_PRECONDITION, 'sold out')
    }
    const handling = await serve(b.core.createServer({ interceptors: [(_call, next) => next()] }), async () => fail())
    const refusing = await serve(b.core.createServer({ interceptors: [fail] }), async () => ({}))
    defer(handling.stop)
    defer(refusing.stop)
    const options = () => ({})
    return [
      await calls(b.core.createClient(service, channelTo(b, handling.address, defer)), options),
      await calls(b.core.createClient(service, channelTo(b, refusing.address, defer)), options),
      await calls(
        b.core.createClient(service, b.core.interceptChannel(channelTo(b, handling.address, defer), fail)),
        options,
      ),
    ]
  })
  await scenario(`${which}: options per call`, async (defer) => {
    let attempts = 0
    const { address, stop } = await serve(b.core.createServer(), async () => {
      attempts++
      throw new b.core.RpcError(status.UNAVAILABLE, 'down')
    })
    defer(stop)
    const policy = { idempotent: '*', maxAttempts: 3, initialBackoffMs: 1, maxBackoffMs: 1 }
    const client = b.core.createClient(
      service,
      b.core.interceptChannel(channelTo(b, address, defer), b.retries.retry(policy)),
    )
    await call(client, 'unary', a.retries.retry.perCall({ maxAttempts: 2 }))
    return attempts
  })
}

await scenario('incompatible', async (defer) => {
  const texts = []
  const refused = (compose) => {
    try {
      compose()
      texts.push('composed')
    } catch (error) {
      texts.push(`${error.name}: ${error.message}`)
    }
  }
  const pass = (_call, proceed) => proceed()
  const channel = channelTo(next, '127.0.0.1:1', defer)
  refused(() => core.createServer({ interceptors: [next.core.chain(pass)] }))
  refused(() => core.clientInterceptors(next.core.select('*', pass)))
  refused(() => core.createClient(service, channel))
  refused(() => core.interceptChannel(channel, pass))
  refused(() => next.core.serverInterceptors(core.chain(pass)))
  return texts
})

console.log(JSON.stringify(happened))
