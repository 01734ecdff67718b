import {
  status as Code,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  type Listener,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js'
import {
  echo,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { awaiting, listening, until } from '../../test/observing.ts'
import { type ClientCall, clientInterceptors, type Interceptor } from '../index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ behaviour: echo })
})
afterAll(() => server.stop())

const whole: RpcSettings = { requests: [{ text: 'a', n: 1 }] }
const refusal = (): StatusObject => ({ code: Code.UNAVAILABLE, details: 'not now', metadata: new Metadata() })

type Hearing = { onReceiveStatus(status: StatusObject): void }

/** An interceptor of grpc-js that answers the first so many calls by itself, before `start` returns. */
function answering(times: number, status = refusal()): GrpcInterceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener: Listener, next) {
        // grpc-js gives the whole listener and declares less.
        if (times-- > 0) (listener as unknown as Hearing).onReceiveStatus(status)
        else next(metadata, listener)
      },
    })
}

const passing: Interceptor = (_call, next) => next()
const repeating: Interceptor<ClientCall> = async (call, next) => {
  call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  const status = await next()
  return status.code === Code.OK ? status : next()
}

const inside = (below: GrpcInterceptor, ...interceptors: Interceptor<ClientCall>[]): RpcSettings => ({
  ...whole,
  options: { interceptors: [...clientInterceptors(...interceptors), below] },
})

describe('an interceptor of grpc-js inside the stack that answers before its start returns', () => {
  it.each(patterns)('ends the call, and every interceptor and the application hear so: %s', async (pattern) => {
    const before = server.calls.length
    for (const observers of [[listening(), awaiting(), listening()], [listening()], []]) {
      const given = refusal()
      const settings = inside(answering(1, given), passing, ...observers.map(({ interceptor }) => interceptor))
      const { status, events } = await runRpc(server.client(), pattern, settings)
      // As without interceptors, the very object.
      expect(status).toBe(given)
      expect(events.filter((event) => event === 'status')).toEqual(['status'])
      for (const { codes } of observers) expect(codes).toEqual([Code.UNAVAILABLE])
    }
    expect(server.calls.length).toBe(before)
  })

  it.each(patterns)('ends an attempt, which another may follow: %s', async (pattern) => {
    const inner = awaiting()
    const rpc = await runRpc(server.client(), pattern, inside(answering(1), repeating, inner.interceptor))
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages.map(({ text }) => text)).toEqual(['a'])
    expect(inner.codes).toEqual([Code.UNAVAILABLE, Code.OK])
  })
})

describe('an interceptor of grpc-js inside the stack that throws where a request is sent', () => {
  /** @param first what it ends the call with before */
  const throwing =
    (first?: StatusObject): GrpcInterceptor =>
    (options, nextCall) => {
      let hearing: Hearing | undefined
      return new InterceptingCall(nextCall(options), {
        start(metadata, listener: Listener, next) {
          hearing = listener as unknown as Hearing // as above
          next(metadata, listener)
        },
        sendMessage() {
          if (first !== undefined) hearing?.onReceiveStatus(first)
          throw new Error('not sent')
        },
      })
    }

  it.each(patterns)('throws out of the stub, and interceptors hear UNAVAILABLE: %s', async (pattern) => {
    const observers = [listening(), awaiting()]
    const settings = inside(throwing(), ...observers.map(({ interceptor }) => interceptor))
    expect(() => startRpc(server.client(), pattern, settings)).toThrow('not sent')
    await until(() => observers.every(({ codes }) => codes.length > 0))
    for (const { statuses } of observers) {
      expect(statuses).toMatchObject([{ code: Code.UNAVAILABLE, details: 'not sent', cause: new Error('not sent') }])
    }
  })

  // Not of a server stream: nothing can listen for its 'error' yet.
  it.each(['unary', 'clientStream', 'bidi'] as const)(
    'throws the same where it has ended the call before: %s',
    async (pattern) => {
      const observer = listening()
      const settings = inside(throwing(refusal()), observer.interceptor)
      expect(() => startRpc(server.client(), pattern, settings)).toThrow('not sent')
      expect(observer.statuses).toMatchObject([{ code: Code.UNAVAILABLE, details: 'not now' }])
    },
  )
})

describe('an interceptor of grpc-js inside the stack that says something else of a failure of this side', () => {
  it.each(patterns)('changes nothing of it: %s', async (pattern) => {
    const translating: GrpcInterceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, { onReceiveStatus: (status, pass) => pass({ ...status, code: Code.ABORTED }) }),
      })
    const observer = listening()
    const failing: Interceptor<ClientCall> = (call, next) => {
      call.onResponse(() => {
        throw new Error('of a tap')
      })
      return next()
    }
    const settings = inside(translating, observer.interceptor, failing)
    const { status } = await runRpc(server.client(), pattern, settings)
    expect([status?.code, ...observer.codes]).toEqual([Code.INTERNAL, Code.INTERNAL])
  })
})

describe('a response message', () => {
  it.each(['serverStream', 'bidi'] as const)(
    'is asked of the peer when the application asks for it: %s',
    async (pattern) => {
      const came: unknown[] = []
      const watching: GrpcInterceptor = (options, nextCall) =>
        new InterceptingCall(nextCall(options), {
          start: (metadata, _listener, next) =>
            next(metadata, {
              onReceiveMessage(message, pass) {
                came.push(message)
                pass(message)
              },
            }),
        })
      await using server = await startTestServer()
      const rpc = startRpc(server.client(), pattern, { ...inside(watching, repeating), reading: false })
      await (await server.received(0)).closed
      await settle(20)
      expect(came).toEqual([])
      rpc.read()
      await rpc.done
      expect(rpc.messages.map(({ text }) => text)).toEqual(['a'])
    },
  )
})
