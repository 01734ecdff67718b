import { status as Code, compressionAlgorithms, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, type Ask, connect, Greeter } from '../../test/greeter.ts'
import { failureOf } from '../../test/greeter-server.ts'
import { type InterceptGreet, startWatchedGreeter, type WatchedGreeter } from '../../test/watched-greeter.ts'
import {
  type ClientCall,
  type ClientCallDetails,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  interceptChannel,
} from '../index.ts'

let greeter: WatchedGreeter
beforeAll(async () => {
  greeter = await startWatchedGreeter()
})
afterAll(() => greeter.stop())
beforeEach(() => {
  greeter.greeted.length = 0
})

const clientWith = (interceptUnaryUnary: InterceptGreet): ReturnType<WatchedGreeter['with']> =>
  greeter.with({ interceptUnaryUnary })

const ada: Ask = { name: 'Ada' }
const wait: Ask = { name: 'wait' }
const hello: Answer = { text: 'Hello Ada' }

describe('the details', () => {
  // reference: sentence 10, sentence 45, sentence 46, symbol 16, symbol 17
  it('are frozen, say what the application asked for, and are changed by copies', async () => {
    let seen: ClientCallDetails | undefined
    const client = clientWith((continuation, details, request) => {
      seen = details
      return continuation(details, request)
    })
    const metadata = new Metadata({ waitForReady: true })
    metadata.set('key', 'value')
    const deadline = Date.now() + 60_000
    await client.greet(ada, { metadata, deadline })
    expect(Object.isFrozen(seen)).toBe(true)
    expect(seen).toMatchObject({ method: '/greet.v1.Greeter/Greet', deadline, waitForReady: true })
    expect(seen?.timeoutMs).toBeGreaterThan(50_000)
    expect(seen?.metadata.get('key')).toEqual(['value'])
    expect(seen?.metadata).not.toBe(metadata)
    expect(seen?.compression).toBeUndefined()
    expect(seen?.credentials).toBeUndefined()
    const changed = seen?.with({ timeoutMs: 5, waitForReady: undefined })
    expect([changed?.timeoutMs, changed?.waitForReady, changed?.deadline]).toEqual([5, false, deadline])
    expect(seen?.timeoutMs).toBeGreaterThan(5)
    expect(Object.isFrozen(changed)).toBe(true)
  })

  for (const [what, patch] of [
    ['an unknown member', { timeout: 5 }],
    ['a timeout that is no number', { timeoutMs: '5' }],
    ['a deadline that is no number', { deadline: Number.NaN }],
    ['metadata that is none', { metadata: { key: 'value' } }],
    ['credentials that are none', { credentials: 'token' }],
    ['a flag that is no boolean', { waitForReady: 'yes' }],
    ['an unknown compression', { compression: 'brotli' }],
    ['a method that is no path', { method: 'Greet' }],
    ['nothing at all', undefined],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      const client = clientWith((continuation, _details, request) => continuation(patch as never, request))
      const error = await failureOf(client.greet(ada))
      expect(error.code).toBe(Code.INTERNAL)
      expect(error.details).toContain('continuation: ')
      expect(error.cause).toBeInstanceOf(TypeError)
      expect(greeter.greeted).toEqual([])
    })
  }

  it('are sent as they are when the continuation is called, whatever becomes of them', async () => {
    const sent: unknown[] = []
    const interceptUnaryUnary: InterceptGreet = async (continuation, details, request) => {
      details.metadata.set('attempt', '1')
      const first = continuation(details, request)
      details.metadata.set('attempt', '2')
      const second = continuation(details, request)
      await first
      return await second
    }
    const slow: Interceptor = async (call, next) => {
      await new Promise((resolve) => setImmediate(resolve))
      sent.push(call.metadata.get('attempt'))
      return await next()
    }
    await greeter.with({ interceptUnaryUnary }, slow).greet(ada)
    expect(sent).toEqual([['1'], ['2']])
  })

  // reference: deviation 5, symbol 19
  it('cannot outlast the deadline of the application', async () => {
    const client = clientWith((continuation, details) =>
      continuation(details.with({ deadline: Date.now() + 60_000, timeoutMs: undefined }), wait),
    )
    const start = performance.now()
    expect((await failureOf(client.greet(ada, { timeoutMs: 40 }))).code).toBe(Code.DEADLINE_EXCEEDED)
    expect(performance.now() - start).toBeLessThan(2000)
  })

  // reference: symbol 22
  it('can turn waitForReady on: the call then waits for a server that is not there yet', async () => {
    const first = createServer()
    const address = (await connectAndClose(first)).replace(/^dns:/, '')
    const fast = { 'grpc.initial_reconnect_backoff_ms': 20, 'grpc.use_local_subchannel_pool': 1 }
    const channel = createChannel(address, credentials.createInsecure(), fast)
    const server = createServer()
    server.addService(Greeter, { greet: () => hello })
    try {
      expect((await failureOf(createClient(Greeter, channel).greet(ada))).code).toBe(Code.UNAVAILABLE)
      const given: boolean[] = []
      const patient = interceptChannel(channel, {
        interceptUnaryUnary: (continuation, details, request) => {
          given.push(details.waitForReady)
          return continuation(details.with({ waitForReady: true }), request)
        },
      })
      const call = createClient(Greeter, patient).greet(ada, { timeoutMs: 8000 })
      await bind(server, address)
      expect(await call).toEqual(hello)
      expect(given).toEqual([false])
    } finally {
      channel.close()
      await server.drain(0)
    }
  })

  // reference: deviation 11, symbol 23
  it('cannot choose a compression the channel does not have', async () => {
    const zip: InterceptGreet = (continuation, details, request) =>
      continuation(details.with({ compression: 'gzip' }), request)
    const error = await failureOf(clientWith(zip).greet(ada))
    expect(error).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining('"gzip" cannot be honoured') })
    expect(greeter.greeted).toEqual([])

    const zipping = greeter.connect({ 'grpc.default_compression_algorithm': compressionAlgorithms.gzip })
    const seen: unknown[] = []
    const look: Interceptor<ClientCall> = (call, next) => {
      seen.push(call.compression)
      return next()
    }
    const plain: InterceptGreet = (continuation, details, request) =>
      continuation(details.with({ compression: 'identity' }), request)
    for (const interceptUnaryUnary of [zip, plain]) {
      const client = createClient(Greeter, interceptChannel(zipping, { interceptUnaryUnary }, look))
      expect(await client.greet(ada)).toEqual(hello)
    }
    expect(seen).toEqual(['gzip', 'identity'])
  })

  it('tell an inner interceptor object what an outer plain interceptor has set', async () => {
    const deadline = Date.now() + 5000
    const sets: Interceptor<ClientCall> = (call, next) => {
      call.deadline = deadline
      call.compression = 'identity'
      call.waitForReady = true
      call.metadata.set('set', 'outside')
      return next()
    }
    let seen: ClientCallDetails | undefined
    const looks: InterceptGreet = (continuation, details, request) => {
      seen = details
      return continuation(details, request)
    }
    await greeter.with(sets, { interceptUnaryUnary: looks }).greet(ada)
    expect(seen).toMatchObject({ deadline, compression: 'identity', waitForReady: true })
    expect(seen?.metadata.get('set')).toEqual(['outside'])
  })
})

async function bind(server: ReturnType<typeof createServer>, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()))
  })
}

/** An address where no server listens. */
async function connectAndClose(server: ReturnType<typeof createServer>): Promise<string> {
  const channel = await connect(server)
  const address = channel.getTarget()
  channel.close()
  await server.drain(0)
  return address
}
