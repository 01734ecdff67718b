import {
  status as Code,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  type Metadata,
  type StatusObject,
} from '@grpc/grpc-js'
import { endWith, patterns, runRpc, startTestServer, type TestPattern, testService } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { headersAndTrailers, startRawPeer, trailersOnly } from '../../test/raw-peer.ts'
import {
  type Channel,
  type ClientInterceptor,
  type ClientInterceptorLike,
  clientInterceptors,
  createClient,
  type Interceptor,
  interceptChannel,
  RpcError,
  type ServerInterceptor,
  type Status,
  wrapHandler,
} from '../index.ts'
import { isMetadata } from './given-status.ts'
import { LocalStatus, RemoteStatus, receivedStatus } from './status.ts'

const passThrough: Interceptor = (_call, next) => next()

/** A interceptor object that hands everything on. */
const contract: ClientInterceptor = {
  interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
}

/** A interceptor object that looks at the failure of its continuation. */
const looking: ClientInterceptor = {
  async interceptUnaryUnary(continuation, details, request) {
    return await continuation(details, request)
  },
}

/** Notes every status that comes out to it. */
function watching(seen: Status[]): Interceptor {
  return async (call, next) => {
    call.onStatus((status) => seen.push(status))
    const status = await next()
    seen.push(status)
    return status
  }
}

/** The error a call of the promise client ends with. */
async function failureOf(channel: Channel, pattern: TestPattern): Promise<RpcError> {
  const client = createClient(testService, channel)
  try {
    if (pattern === 'unary') await client.unary({})
    else if (pattern === 'clientStream') await client.clientStream([{}])
    else for await (const _ of pattern === 'bidi' ? client.bidi([{}]) : client.serverStream({}));
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('the call did not fail')
}

/** What a peer may write, and how the number must be named. */
const invalid = [
  ['99', '99'],
  ['17', '17'],
  ['-1', '-1'],
  ['16.5', '16.5'],
  ['abc', 'NaN'],
  ['1e400', 'Infinity'],
] as const

describe('a status code that is none, from a peer', () => {
  for (const pattern of patterns) {
    it.each(invalid)(`ends a ${pattern} call of a promise client with UNKNOWN: grpc-status %j`, async (sent, named) => {
      for (const shape of [trailersOnly, headersAndTrailers]) {
        await using peer = await startRawPeer(shape({ 'grpc-status': sent, 'grpc-message': 'odd', 'x-more': 'kept' }))
        const seen: Status[] = []
        const own = watching(seen)
        for (const stack of [[], [passThrough], [own], [contract], [looking, own, contract]]) {
          const error = await failureOf(interceptChannel(peer.channel(), ...stack), pattern)
          expect(error).toMatchObject({ code: Code.UNKNOWN, origin: 'remote' })
          expect(error.details).toBe(`Invalid status code ${named}: odd`)
          expect(error.metadata.get('x-more')).toEqual(['kept'])
        }
        expect(seen.length).toBeGreaterThan(0)
        for (const { code, details } of seen) {
          expect({ code, details }).toEqual({ code: Code.UNKNOWN, details: `Invalid status code ${named}: odd` })
        }
      }
    })

    it(`reaches the callback of a ${pattern} stub as without interceptors`, async () => {
      await using peer = await startRawPeer(trailersOnly({ 'grpc-status': '99', 'grpc-message': 'odd' }))
      const bare = await runRpc(peer.stub(), pattern)
      for (const stack of [[passThrough], [passThrough, passThrough]]) {
        const layered = await runRpc(peer.stub(...stack), pattern)
        expect(layered.events).toEqual(bare.events)
        expect(layered.error?.code).toBe(bare.error?.code)
        expect(layered.error?.message).toBe(bare.error?.message)
        expect(layered.status).toEqual(bare.status)
      }
    })
  }

  it.each(patterns)('with no grpc-status at all a %s call fails as grpc-js has it', async (pattern) => {
    await using peer = await startRawPeer(trailersOnly({ 'x-more': 'kept' }))
    const error = await failureOf(interceptChannel(peer.channel(), passThrough), pattern)
    const bare = await runRpc(peer.stub(), pattern)
    expect(error).toMatchObject({ code: bare.error?.code, details: bare.error?.details })
  })

  it('with an empty grpc-status a call ends as grpc-js has it', async () => {
    await using peer = await startRawPeer(headersAndTrailers({ 'grpc-status': '' }))
    const stream = createClient(testService, interceptChannel(peer.channel(), passThrough)).serverStream({})
    for await (const _ of stream);
    expect((await stream.status).code).toBe(Code.OK)
  })
})

describe('a status that is malformed, from an interceptor of grpc-js', () => {
  const ending =
    (status: unknown): GrpcInterceptor =>
    (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, { onReceiveStatus: (_status, deliver) => deliver(status as StatusObject) }),
      })
  const malformed: [string, unknown, { code: Code; details: string }][] = [
    ['metadata {}', { code: 5, details: 'x', metadata: {} }, { code: 5, details: 'x' }],
    ['metadata null', { code: 5, details: 'x', metadata: null }, { code: 5, details: 'x' }],
    ['no metadata', { code: 5, details: 'x' }, { code: 5, details: 'x' }],
    ['no details', { code: 5 }, { code: 5, details: '' }],
    ['details of another type', { code: 5, details: 7 }, { code: 5, details: '7' }],
    ['a code in words', { code: 'NOT_FOUND' }, { code: Code.UNKNOWN, details: 'Invalid status code "NOT_FOUND"' }],
    ['no code', { details: 'x' }, { code: Code.UNKNOWN, details: 'Invalid status code undefined: x' }],
  ]
  for (const [what, status, expected] of malformed) {
    it.each(patterns)(`${what}: a %s call ends, and interceptors see a valid status`, async (pattern) => {
      await using server = await startTestServer({ behaviour: endWith({ code: Code.ABORTED }) })
      const stacks: ((seen: Status[]) => ClientInterceptorLike[])[] = [
        (seen) => [watching(seen)],
        (seen) => [watching(seen), contract, watching(seen)],
        (seen) => [watching(seen), looking, contract, watching(seen)],
      ]
      for (const stack of stacks) {
        const seen: Status[] = []
        const options = { interceptors: [...clientInterceptors(...stack(seen)), ending(status)] }
        const rpc = await runRpc(server.client(), pattern, { options })
        expect(rpc.events.filter((event) => event === 'status')).toHaveLength(1)
        expect(seen.length).toBeGreaterThan(0)
        for (const outcome of seen) {
          expect(outcome).toMatchObject(expected)
          expect(isMetadata(outcome.metadata)).toBe(true)
        }
      }
    })
  }
})

describe('a status code that is none, from a handler', () => {
  const wrapping: ServerInterceptor = {
    interceptService: (continuation, details) =>
      wrapHandler(continuation(details), (behavior) => (request, context) => behavior(request, context)),
  }
  const codes = [57, -1, 16.5, Number.NaN]
  for (const stock of [true, false]) {
    it.each(patterns)(
      `is UNKNOWN on the wire, or INTERNAL, and never no answer: %s, stock server ${stock}`,
      async (pattern) => {
        for (const code of codes) {
          for (const interceptors of [[passThrough], [wrapping], [passThrough, wrapping, passThrough]]) {
            await using server = await startTestServer({
              stock,
              interceptors,
              behaviour: endWith({ code: code as Code, details: 'odd' }),
            })
            const rpc = await runRpc(server.client(), pattern)
            expect([Code.UNKNOWN, Code.INTERNAL]).toContain(rpc.status?.code)
            if (stock && code === 57) {
              expect(rpc.status).toMatchObject({ code: Code.UNKNOWN, details: 'Invalid status code 57: odd' })
            }
          }
        }
      },
    )
  }
})

describe('RpcError.fromStatus', () => {
  it.each([
    [{ code: 99 as Code }, Code.UNKNOWN, 'Invalid status code 99'],
    [{ code: Code.OK }, Code.UNKNOWN, 'Status OK is no error'],
    [{ code: Code.OK, details: 'fine' }, Code.UNKNOWN, 'Status OK is no error: fine'],
    [{ code: 5, details: 7 as never }, 5, '7'],
    [{ code: 5, metadata: {} as Metadata }, 5, ''],
    [{ code: 5, metadata: null as never }, 5, ''],
    [undefined as never, Code.UNKNOWN, 'Invalid status undefined'],
    [null as never, Code.UNKNOWN, 'Invalid status null'],
    ['5' as never, Code.UNKNOWN, 'Invalid status "5"'],
  ])('makes an error of anything: %o', (status, code, details) => {
    const error = RpcError.fromStatus(status)
    expect(error).toMatchObject({ code, details })
    expect(isMetadata(error.metadata)).toBe(true)
  })

  it('makes an error of a status whose members throw', () => {
    const hostile = {
      get code(): Code {
        throw new Error('no')
      },
    }
    expect(RpcError.fromStatus(hostile)).toMatchObject({ code: Code.UNKNOWN, details: 'Invalid status' })
  })

  it('keeps what this process knows', () => {
    const status = { code: Code.ABORTED, cause: 'why', attempts: 3, refusedBy: 'quota', origin: 'local' } as const
    expect(RpcError.fromStatus(status)).toMatchObject(status)
  })
})

describe('a status of the engine', () => {
  it('is valid, whatever it was made of', () => {
    const odd = { code: 99 as Code, details: 'x', metadata: {} as Metadata }
    for (const made of [new RemoteStatus(odd.code, odd.details, odd.metadata), new LocalStatus(odd)]) {
      expect(made).toMatchObject({ code: Code.UNKNOWN, details: 'Invalid status code 99: x' })
      expect(isMetadata(made.metadata)).toBe(true)
      expect(receivedStatus(made as StatusObject)).toBe(made)
    }
  })
})
