import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type ServerHttp2Stream } from 'node:http2'
import { createRequire } from 'node:module'
import {
  status as Code,
  credentials,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  type InterceptingListener,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js'
import {
  type Behaviour,
  endWith,
  Gate,
  manual,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestPattern,
  type TestServer,
  type TestServerOptions,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting, until } from '../../test/observing.ts'
import {
  type ClientCall,
  clientInterceptors,
  createServer,
  type Interceptor,
  type Next,
  type Status,
  serverInterceptors,
} from '../index.ts'
import { CHANNEL_OPTIONS } from './channel-option-names.ts'
import { callAtStream, streamOf } from './server-stream.ts'

// Each workaround of the engine rests on a behaviour of grpc-js 1.14. The first half of a test shows the behaviour, and fails
// when grpc-js changes it; the second shows what the engine makes of it.

const passThrough: Interceptor = (_call, next) => next()
const native = (interceptor: GrpcInterceptor) => ({ options: { interceptors: [interceptor] } })

it.each(patterns)('the reset of a call that is cancelled in the tick of its start is lost: %s', async (pattern) => {
  await using server = await startTestServer({ behaviour: manual })
  const isOverFor = async (client: TestClient): Promise<boolean | undefined> => {
    server.forget()
    const finish = server.behave((rpc) => rpc.end())
    await runRpc(client, 'unary', { metadata: finish }) // connects
    const rpc = startRpc(client, pattern, { requests: [{}] })
    rpc.cancel()
    await rpc.done
    await runRpc(client, 'unary', { metadata: server.behave((other) => other.end()) })
    return server.calls[1]?.isClosed
  }
  expect(await isOverFor(server.client())).toBe(false)
  // Either the handler has heard of the end, or the call has never reached it.
  const { length } = server.calls
  expect(await isOverFor(server.client(passThrough))).toBe(true)
  expect(length).toBe(3)
})

it('the names of channel options are those that grpc-js declares', () => {
  const declared = readFileSync(
    createRequire(import.meta.url).resolve('@grpc/grpc-js/build/src/channel-options.d.ts'),
    'utf8',
  )
  const names = [...declared.matchAll(/'(grpc[^']*)'\?:/g)].map(([, name]) => name)
  expect(names.length).toBeGreaterThan(30)
  expect([...CHANNEL_OPTIONS].sort()).toEqual(names.sort())
})

describe('what grpc-js does, and what becomes of it', () => {
  it('fact 1: a call cancelled before its late start() loses its status; with a stack it does not', async () => {
    await using server = await startTestServer()
    const gate = new Gate()
    const late: GrpcInterceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => void gate.opened.then(() => next(metadata, listener)),
      })
    const lost = startRpc(server.client(), 'unary', native(late))
    await settle()
    lost.cancel()
    await settle(20)
    gate.open()
    await settle(20)
    expect(lost.events).toEqual([])
    const ours = startRpc(
      server.client(async (_call, next) => {
        await new Promise((resolve) => setTimeout(resolve, 60_000).unref())
        return await next()
      }),
      'unary',
    )
    await settle()
    ours.cancel()
    expect((await ours.done).error?.code).toBe(Code.CANCELLED)
  })

  it('fact 2: of messages written at once before the call is up, grpc-js keeps the last; with a stack all arrive', async () => {
    await using server = await startTestServer()
    const hasty: GrpcInterceptor = (options, nextCall) => {
      const call = nextCall(options)
      const start = call.start.bind(call)
      call.start = (metadata, listener) => {
        start(metadata, listener)
        for (let n = 0; n < 3; n++) call.sendMessageWithContext({}, { n })
        call.halfClose()
      }
      call.halfClose = call.halfClose.bind(call)
      return call as InterceptingCall
    }
    await runRpc(server.client(), 'clientStream', { ...native(hasty), requests: [] }).catch(() => undefined)
    expect(server.calls[0]?.requests.length).toBeLessThan(3)
    const write = (client: TestClient) => runRpc(client, 'clientStream', { requests: [{ n: 0 }, { n: 1 }, { n: 2 }] })
    await write(server.client(passThrough))
    expect(server.calls[1]?.requests).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }])
  })

  it('fact 3: a failed unary call delivers null as its message; taps and replay do not take it for one', async () => {
    const delivered: unknown[] = []
    const watching: GrpcInterceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, {
            onReceiveMessage(message, nextMessage) {
              delivered.push(message)
              nextMessage(message)
            },
          }),
      })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    await runRpc(server.client(), 'unary', native(watching))
    expect(delivered).toEqual([null])
    const tapped: unknown[] = []
    const committed: boolean[] = []
    const replaying = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      call.onResponse((message) => tapped.push(message))
      const status = await next()
      committed.push(call.committed)
      return status
    }
    for (const pattern of ['unary', 'clientStream'] as const) await runRpc(server.client(replaying), pattern)
    expect(tapped).toEqual([])
    expect(committed).toEqual([false, false])
  })

  it('fact 4: a failure does not wait for messages on their way, so taps must not hold them: none is lost', async () => {
    const behaviour: Behaviour = async (rpc) => {
      for (let n = 0; n < 5; n++) await rpc.write({ n })
      rpc.end({ code: Code.DATA_LOSS })
    }
    const tapping: Interceptor = async (call, next) => {
      call.onResponse((message) => ({ ...(message as object), seen: true }))
      return await next()
    }
    await using server = await startTestServer({ behaviour })
    for (const pattern of ['serverStream', 'bidi'] as const) {
      const bare = await runRpc(server.client(), pattern)
      const rpc = await runRpc(server.client(tapping, tapping), pattern)
      expect(rpc.messages.map(({ n }) => n)).toEqual(bare.messages.map(({ n }) => n))
      expect(rpc.events).toEqual(bare.events)
    }
  })

  it('fact 6: onCancel comes at the end of every server call; observers see only how it ended', async () => {
    let cancels = 0
    const watching: ServerInterceptor = (_method, call) => {
      const start = call.start.bind(call)
      call.start = (listener) => {
        const onCancel = listener.onCancel.bind(listener)
        listener.onCancel = () => {
          cancels++
          onCancel()
        }
        start(listener)
      }
      return call as never
    }
    const outer = awaiting()
    const server = new Server({ interceptors: [watching, ...serverInterceptors(outer.interceptor)] })
    server.addService(testService, {
      unary: (_call: unknown, respond: (error: null, answer: object) => void) => respond(null, {}),
    } as never)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      await until(() => cancels === 1)
      expect(outer.codes).toEqual([Code.OK])
      expect(outer.calls[0]?.signal.aborted).toBe(false)
    } finally {
      client.close()
      server.forceShutdown()
    }
  })

  // reference: deviation 28
  it.each(patterns)(
    'fact 8: unregistered methods bypass a stock server’s interceptors, not createServer’s: %s',
    async (pattern) => {
      const seen: unknown[] = []
      const looking: Interceptor = (call, next) => {
        seen.push([call.method.path, call.method.registered, call.method.pattern])
        return next()
      }
      const observers = awaiting()
      for (const server of [
        new Server({ interceptors: serverInterceptors(looking) }),
        createServer({ interceptors: [observers.interceptor, looking] }),
      ]) {
        const port = await new Promise<number>((resolve, reject) => {
          server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
            error ? reject(error) : resolve(bound),
          )
        })
        const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
        try {
          expect((await runRpc(client, pattern)).status?.code).toBe(Code.UNIMPLEMENTED)
          await settle()
        } finally {
          client.close()
          server.forceShutdown()
        }
      }
      expect(seen).toEqual([[testService[pattern].path, false, 'unknown']])
      expect(observers.codes).toEqual([Code.UNIMPLEMENTED])
    },
  )

  it('fact 13: what a status has besides code, details and metadata shows on the application’s error', async () => {
    await using server = await startTestServer()
    const cause = new Error('below')
    const limiting: Interceptor = function quota() {
      return { code: Code.RESOURCE_EXHAUSTED, details: 'no more', cause }
    }
    for (const pattern of patterns) {
      const { error } = await runRpc(server.client(limiting), pattern)
      expect(error).toMatchObject({
        code: 8,
        details: 'no more',
        origin: 'local',
        refusedBy: 'quota',
        cause,
      })
    }
  })

  it.each(patterns)(
    'fact 14: a message changed by an interceptor that starts late arrives changed: %s',
    async (pattern) => {
      const late: Interceptor = async (call, next) => {
        await settle(2)
        call.onRequest((message) => ({ ...(message as object), text: 'changed' }))
        return await next()
      }
      await using server = await startTestServer()
      const rpc = await runRpc(server.client(late), pattern, { requests: [{ text: 'given', n: 1 }] })
      expect(rpc.status?.code).toBe(Code.OK)
      expect(server.calls[0]?.requests).toEqual([{ text: 'changed', n: 1 }])
    },
  )

  it('a listener of the engine has one parameter where grpc-js counts them', async () => {
    const arities: number[] = []
    const counting: GrpcInterceptor = (options, nextCall) => {
      const call = nextCall(options)
      const start = call.start.bind(call)
      call.start = (metadata, listener?: Partial<InterceptingListener>) => {
        arities.push(listener?.onReceiveMetadata?.length ?? -1)
        start(metadata, listener)
      }
      return call as InterceptingCall
    }
    await using server = await startTestServer()
    const interceptors = [...clientInterceptors(passThrough), counting]
    await runRpc(server.client(), 'unary', { options: { interceptors } })
    expect(arities).toEqual([1])
  })

  it('the engine reads what it needs of grpc-js’s insides, and they are there', async () => {
    const { version } = JSON.parse(
      readFileSync(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json'), 'utf8'),
    ) as { version: string }
    expect(version).toMatch(/^1\.\d+\.\d+/)
    const seen: unknown[] = []
    const looking = async (call: ClientCall, next: Next): Promise<Status> => {
      const status = next()
      seen.push(call.secure)
      return await status
    }
    await using server = await startTestServer()
    await runRpc(server.client(looking), 'unary')
    expect(seen).toEqual([false])
    const internals = createServer() as unknown as { _retrieveHandler: unknown }
    expect(typeof internals._retrieveHandler).toBe('function')
  })
})

describe('the retry that grpc-js itself does, under a stack', () => {
  const config = (policy: object): string =>
    JSON.stringify({ loadBalancingConfig: [], methodConfig: [{ name: [{}], ...policy }] })
  const retryPolicy = {
    retryPolicy: {
      maxAttempts: 3,
      initialBackoff: '0.01s',
      maxBackoff: '0.02s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['UNAVAILABLE'],
    },
  }

  it.each(patterns)('still works, and is one attempt to the interceptors: %s', async (pattern) => {
    const outer = awaiting()
    let failures = 2
    await using server = await startTestServer({
      interceptors: [(_call, next) => (failures-- > 0 ? { code: Code.UNAVAILABLE } : next())],
    })
    const replaying = (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      return next()
    }
    const client = server.clientWith({ 'grpc.service_config': config(retryPolicy) }, outer.interceptor, replaying)
    const rpc = await runRpc(client, pattern, { requests: [{ text: 'a', n: 1 }] })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(outer.codes).toEqual([Code.OK])
    expect(server.calls[0]?.metadata.get('grpc-previous-rpc-attempts')).toEqual(['2'])
    expect(server.calls[0]?.requests).toEqual([{ text: 'a', n: 1 }])
  })

  it('so does its hedging', async () => {
    const outer = awaiting()
    await using server = await startTestServer({ behaviour: manual })
    const policy = { hedgingPolicy: { maxAttempts: 2, hedgingDelay: '0.02s', nonFatalStatusCodes: [] } }
    const client = server.clientWith({ 'grpc.service_config': config(policy) }, outer.interceptor)
    const done = runRpc(client, 'unary')
    const second = await server.received(1)
    await second.write({ text: 'faster' })
    second.end()
    expect((await done).messages).toEqual([{ text: 'faster' }])
    expect(outer.codes).toEqual([Code.OK])
    await server.calls[0]?.closed
  })
})

describe('a request that is complete only after its deadline', () => {
  const timedOut = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '20m' }
  const body = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]) // {}

  /** The calls whose handlers were started once the half-close has come, which was sent after the status. */
  async function startedLate(options: TestServerOptions, pattern: TestPattern): Promise<readonly ServerRpc[]> {
    const told: ServerRpc[] = []
    const behaviour: Behaviour = (rpc) => {
      const call: EventEmitter = rpc.call
      call.once('cancelled', () => told.push(rpc))
      if (rpc.metadata.get('last').length > 0) rpc.end()
    }
    await using server = await startTestServer({ ...options, behaviour })
    const session = connect(`http://${server.address}`)
    try {
      const path = testService[pattern].path
      const stream = session.request({ ...timedOut, ':path': path }, { endStream: false }).on('error', () => undefined)
      const answered = new Promise((resolve) => stream.on('response', resolve))
      stream.write(body)
      expect(await answered).toMatchObject({ 'grpc-status': String(Code.DEADLINE_EXCEEDED) })
      stream.end()
      // What the server does with the half-close, it has done before the next call on this connection ends.
      const next = session.request({ ...timedOut, ':path': path, 'grpc-timeout': '1M', last: 'yes' }).resume()
      next.end(body)
      await new Promise((resolve) => next.on('close', resolve))
      expect(told).toHaveLength(1)
      return server.calls.filter((rpc) => !told.includes(rpc))
    } finally {
      session.destroy()
    }
  }

  it.each(['unary', 'serverStream'] as const)('starts a handler, which is told nothing: %s', async (pattern) => {
    expect(await startedLate({ stock: true }, pattern)).toMatchObject([{ call: { cancelled: false } }])
  })

  it.each(['unary', 'serverStream'] as const)(
    'with a stack, and on a server of createServer, starts none: %s',
    async (pattern) => {
      expect(await startedLate({ stock: true, interceptors: [passThrough] }, pattern)).toEqual([])
      expect(await startedLate({ interceptors: [passThrough] }, pattern)).toEqual([])
      expect(await startedLate({}, pattern)).toEqual([])
    },
  )
})

describe('hostile or odd input', () => {
  it('metadata keys that shadow members of objects are metadata like any other', async () => {
    const metadata = new Metadata()
    for (const key of ['__proto__', 'constructor', 'hasownproperty', 'tostring']) metadata.set(key, 'x')
    const copying: Interceptor = (call, next) => {
      call.metadata.set('extra', '1')
      return next()
    }
    await using server = await startTestServer({ interceptors: [copying] })
    for (const pattern of patterns) {
      expect((await runRpc(server.client(copying), pattern, { metadata })).status?.code).toBe(Code.OK)
    }
    for (const key of ['constructor', 'hasownproperty', 'tostring']) {
      expect(server.calls[0]?.metadata.get(key)).toEqual(['x'])
    }
  })

  it('a deadline of grpc-js may be a Date, a number or infinite', async () => {
    const seen: number[] = []
    const looking: Interceptor = (call, next) => {
      seen.push(call.deadline)
      return next()
    }
    await using server = await startTestServer()
    const client = server.client(looking)
    const at = Date.now() + 60_000
    for (const deadline of [at, new Date(at), Number.POSITIVE_INFINITY]) {
      expect((await runRpc(client, 'unary', { options: { deadline } })).status?.code).toBe(Code.OK)
    }
    expect(seen).toEqual([at, at, Number.POSITIVE_INFINITY])
  })

  it('a server of grpc-js takes a deadline modulo 2^32 ms: some that are months away are over at once', async () => {
    const callFor = (days: number, server: TestServer) =>
      startRpc(server.client(), 'unary', { options: { deadline: Date.now() + days * 24 * 3600 * 1000 } })
    await using one = await startTestServer({ behaviour: manual })
    expect((await callFor(90, one).done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
    await using other = await startTestServer({ behaviour: manual })
    const rpc = callFor(60, other)
    await (await other.received(0)).end()
    expect((await rpc.done).status?.code).toBe(Code.OK)
  })

  it('a refused stream stays open until its client ends it; with a stack it is reset behind its status', async () => {
    const opened = new Map<string, ServerHttp2Stream | undefined>()
    const watching =
      (name: string): ServerInterceptor =>
      (_definition, call) => {
        // Private in grpc-js: a call leads to the one nearer to the connection, and the last to the stream.
        const innermost = callAtStream(call)
        expect(innermost.constructor.name).toBe('BaseServerInterceptingCall')
        opened.set(name, streamOf(innermost))
        return new ServerInterceptingCall(call)
      }
    const statuses: (number | undefined)[] = []
    const open = async (name: string, interceptors: ServerInterceptor[]): Promise<ServerHttp2Stream> => {
      const native = new Server({ interceptors: [watching(`${name} outside`), watching(name), ...interceptors] })
      native.addService(testService, {
        bidi: (call: ServerDuplexStream<object, object>) => call.emit('error', { code: 7 }),
      })
      const port = await new Promise<number>((resolve, reject) => {
        native.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
          error ? reject(error) : resolve(bound),
        )
      })
      closers.push(() => native.forceShutdown())
      const session = connect(`http://127.0.0.1:${port}`)
      closers.push(() => session.destroy())
      const request = { ':method': 'POST', ':path': testService.bidi.path, 'content-type': 'application/grpc' }
      const stream = session.request(request, { endStream: false })
      stream.resume()
      await new Promise<void>((resolve) =>
        stream.once('response', (headers) => {
          statuses.push(Number(headers['grpc-status']))
          resolve()
        }),
      )
      const found = opened.get(name)
      if (found === undefined) throw new Error('grpc-js’s server calls no longer lead to their stream')
      return found
    }
    const closers: (() => void)[] = []
    try {
      const bare = await open('bare', [])
      const stacked = await open('stacked', serverInterceptors(passThrough))
      await until(() => stacked.closed, 'the reset')
      expect(bare.closed).toBe(false)
      expect(bare.state.remoteClose).toBe(0)
      expect(opened.get('stacked outside')).toBe(stacked)
      expect(statuses).toEqual([Code.PERMISSION_DENIED, Code.PERMISSION_DENIED])
    } finally {
      for (const close of closers) close()
    }
  })

  it('four hundred unregistered paths leave nothing behind', async () => {
    const methods: WeakRef<object>[] = []
    const server = createServer({
      interceptors: [
        (call, next) => {
          methods.push(new WeakRef(call.method))
          return call.method.registered ? next() : { code: Code.NOT_FOUND }
        },
      ],
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    const { requestSerialize, responseDeserialize } = testService.unary
    const call = (path: string): Promise<number | undefined> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, (error) => resolve(error?.code))
      })
    try {
      for (let round = 0; round < 10; round++) {
        const codes = await Promise.all(
          Array.from({ length: 40 }, (_, n) => call(`/minted.Service${round}x${n}/Method`)),
        )
        expect(new Set(codes)).toEqual(new Set([Code.NOT_FOUND]))
      }
      expect(methods.length).toBe(400)
      const kept = (): number => methods.filter((ref) => ref.deref() !== undefined).length
      for (let n = 0; n < 50 && kept() > 50; n++) {
        await new Promise((resolve) => setTimeout(resolve, 2))
        globalThis.gc?.()
      }
      // The last few may still be in the hands of streams that are being closed.
      expect(kept()).toBeLessThanOrEqual(50)
    } finally {
      client.close()
      server.forceShutdown()
    }
  })
})
