import {
  type CallOptions,
  status as Code,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  type InterceptingListener,
  Metadata,
  type NextCall,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { endWith, metadataOf, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clientInterceptors, type Interceptor } from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()
const awaits: Interceptor = async (_call, next) => await next()
const refuses: Interceptor = () => ({ code: Code.NOT_FOUND, details: 'gone' })

const stacks: [string, Interceptor[]][] = [
  ['passed on', [passThrough]],
  ['awaited', [awaits]],
  ['refused', [passThrough, refuses]],
]

let server: TestServer
beforeAll(async () => {
  const metadata = metadataOf({ a: 'b' })
  server = await startTestServer({ behaviour: endWith({ code: Code.NOT_FOUND, details: 'gone', metadata }) })
})
afterAll(() => server.stop())

/** What an application sees of a call that fails. */
interface Failure {
  readonly error: ServiceError
  readonly status: StatusObject
  /** `Error.stackTraceLimit` and the frames of an error, in each of its callbacks. */
  readonly limits: number[]
  readonly frames: number[]
}

function fail(interceptors: readonly Interceptor[], options: CallOptions = {}): Promise<Failure> {
  return new Promise((resolve) => {
    const limits: number[] = []
    const frames: number[] = []
    const look = (): void => {
      limits.push(Error.stackTraceLimit)
      frames.push(framesOf(new Error('here')))
    }
    let error: ServiceError | null = null
    const call = server.client(...interceptors).unary({}, new Metadata(), options, (given) => {
      look()
      error = given
    })
    call.on('status', (status) => {
      look()
      resolve({ error: error as unknown as ServiceError, status, limits, frames })
    })
  })
}

const framesOf = ({ stack }: Error): number => stack?.match(/^ {4}at /gm)?.length ?? 0

describe.each(stacks)('the error of a call that fails: %s', (how, interceptors) => {
  it('has the frames of the caller, and no others', async () => {
    const { error } = await fail(interceptors)
    expect(error.stack).toMatch(/^Error: 5 NOT_FOUND: gone\nfor call at\n {4}at /)
    expect(error.stack).toContain('failure-without-frames.test.ts')
    const stock = await fail([])
    expect(stock.error.stack).toContain('callErrorFromStatus')
    const caller = /for call at\n.*/s
    expect(caller.exec(error.stack ?? '')?.[0]?.split('\n')[1]).toBe(
      caller.exec(stock.error.stack ?? '')?.[0]?.split('\n')[1],
    )
  })

  it('comes with the limit as it was, and with its metadata as plain members', async () => {
    const limit = Error.stackTraceLimit
    const { error, status, limits, frames } = await fail(interceptors)
    expect(limits).toEqual([limit, limit])
    for (const count of frames) expect(count).toBeGreaterThan(0)
    expect(Error.stackTraceLimit).toBe(limit)
    for (const held of [error, status]) {
      const member = Object.getOwnPropertyDescriptor(held, 'metadata')
      expect(member).toMatchObject({ writable: true, enumerable: true, configurable: true })
      expect(member?.value).toBeInstanceOf(Metadata)
    }
    if (how !== 'refused') expect(error.metadata.get('a')).toEqual(['b'])
  })

  it('shows the frames of the caller to a formatter of the application', async () => {
    const { prepareStackTrace } = Error
    Error.prepareStackTrace = (error, sites) =>
      `${String(error)}${sites.map((site) => `\n    at ${site.getFileName()}`).join('')}`
    try {
      const { error, frames } = await fail(interceptors)
      expect(error.stack).toMatch(/^Error: 5 NOT_FOUND: gone\nfor call at\n {4}at .*client\.js\n/)
      expect(error.stack).toContain('failure-without-frames.test.ts')
      expect(frames[0]).toBeGreaterThan(0)
    } finally {
      Error.prepareStackTrace = prepareStackTrace as NonNullable<typeof prepareStackTrace>
    }
  })

  it('is made as ever where the application wants no frames, or does not let the limit be changed', async () => {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    try {
      expect((await fail(interceptors)).limits).toEqual([0, 0])
    } finally {
      Error.stackTraceLimit = limit
    }
    Object.defineProperty(Error, 'stackTraceLimit', { writable: false })
    try {
      expect((await fail(interceptors)).limits).toEqual([limit, limit])
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', { writable: true })
    }
  })
})

describe('interceptors of grpc-js around a stack', () => {
  const limits: number[] = []
  const outer: GrpcInterceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) =>
        next(metadata, {
          onReceiveStatus(status, forward) {
            limits.push(Error.stackTraceLimit)
            forward({ ...status, details: `seen: ${status.details}` })
            limits.push(Error.stackTraceLimit)
          },
        }),
    })
  const silent: GrpcInterceptor = (options, nextCall) => new InterceptingCall(nextCall(options))
  /** With a listener of its own, and without the class of grpc-js. */
  const bare: GrpcInterceptor = (options, nextCall) => {
    const inner = nextCall(options)
    const call = Object.create(inner) as ReturnType<NextCall>
    call.start = (metadata: Metadata, listener: InterceptingListener) =>
      inner.start(metadata, {
        onReceiveMetadata: (given) => listener.onReceiveMetadata(given),
        onReceiveMessage: (given) => listener.onReceiveMessage(given),
        onReceiveStatus(status) {
          limits.push(Error.stackTraceLimit)
          listener.onReceiveStatus(status)
        },
      })
    return call as unknown as InterceptingCall
  }

  it.each([
    ['with listeners', [outer]],
    ['without', [silent]],
    ['of another make', [bare]],
    ['several', [silent, outer, bare]],
  ])('%s: see the limit as it was', async (_what, interceptors) => {
    limits.length = 0
    const limit = Error.stackTraceLimit
    const options = { interceptors: [...interceptors, ...clientInterceptors(passThrough)] }
    const seen = await fail([], options)
    expect([...limits, ...seen.limits].every((one) => one === limit)).toBe(true)
    expect(seen.error.stack).toContain('failure-without-frames.test.ts')
  })

  it('further in may give a status that cannot be changed', async () => {
    const frozen: GrpcInterceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, { onReceiveStatus: (status, forward) => forward(Object.freeze({ ...status })) }),
      })
    const limit = Error.stackTraceLimit
    const options = { interceptors: [...clientInterceptors(passThrough), frozen] }
    const { error, limits: seen } = await fail([], options)
    expect(error.code).toBe(Code.NOT_FOUND)
    expect(seen).toEqual([limit, limit])
  })
})

it('a callback that throws leaves the limit as it was', async () => {
  const limit = Error.stackTraceLimit
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const caught = new Promise((resolve) => {
    process.once('uncaughtException', resolve)
  })
  const mine = new Error('of the application')
  try {
    server.client(passThrough).unary({}, () => {
      throw mine
    })
    expect(await caught).toBe(mine)
    expect(Error.stackTraceLimit).toBe(limit)
  } finally {
    for (const listener of listeners) process.on('uncaughtException', listener)
  }
})

it.each(['serverStream', 'bidi'] as const)('events of a stream see the limit as it was: %s', async (pattern) => {
  const limit = Error.stackTraceLimit
  const limits: number[] = []
  const look = (): void => void limits.push(Error.stackTraceLimit)
  const client = server.client(passThrough)
  const call = pattern === 'bidi' ? client.bidi(new Metadata()) : client.serverStream({}, new Metadata())
  await new Promise<void>((resolve) => {
    for (const event of ['readable', 'end', 'error', 'close']) call.on(event, look)
    call.on('status', () => {
      look()
      resolve()
    })
  })
  expect(limits.length).toBeGreaterThan(1)
  expect(limits.every((one) => one === limit)).toBe(true)
})
