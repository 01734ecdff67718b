import { status as Code, Metadata } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connect, Greeter } from '../../../test/greeter.ts'
import {
  abort,
  createClient,
  createServer,
  type Handlers,
  type Interceptor,
  RpcError,
  type ServerInterceptor,
  type ServerInterceptorLike,
  wrapHandler,
} from '../../index.ts'

const closers: (() => void)[] = []
let warned: { text: string; code: unknown }[] = []
beforeEach(() => {
  // Each test a minute later than the one before.
  vi.useFakeTimers({ toFake: ['performance'] })
  vi.advanceTimersByTime(3_600_000 * ++hour)
  warned = []
  vi.spyOn(process, 'emitWarning').mockImplementation(((text: string, options: { code: unknown }) => {
    warned.push({ text, code: options.code })
  }) as typeof process.emitWarning)
})
afterEach(() => {
  vi.useRealTimers()
  for (const close of closers.splice(0).reverse()) close()
})
let hour = 0

const throwing = (error: () => unknown = () => new Error('the disk is full')): Handlers<typeof Greeter> => {
  const fail = (): never => {
    throw error()
  }
  return { greet: () => fail(), greetMany: () => fail(), greetAll: async () => fail(), chat: async () => fail() }
}

async function serve(handlers: Handlers<typeof Greeter>, ...interceptors: ServerInterceptorLike[]) {
  const server = createServer({ interceptors })
  server.addService(Greeter, handlers)
  const channel = await connect(server)
  closers.push(
    () => server.forceShutdown(),
    () => channel.close(),
  )
  const client = createClient(Greeter, channel)
  const end = async (work: PromiseLike<unknown>): Promise<Code> => {
    try {
      await work
      return Code.OK
    } catch (error) {
      return (error as RpcError).code
    } finally {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return {
    channel,
    client,
    greet: (metadata?: Metadata) => end(client.greet({ name: 'x' }, metadata === undefined ? {} : { metadata })),
    end,
  }
}

const passThrough: Interceptor = (_call, next) => next()
const counting: Interceptor = async (_call, next) => {
  const status = await next()
  expect(status.code).toBe(Code.INTERNAL)
  return status
}
const masking: Interceptor = async (_call, next) => ({ code: (await next()).code })
const renaming: Interceptor = async (_call, next) => ({ ...(await next()), details: 'it failed' })
const recording = (seen: unknown[]): Interceptor => {
  return async (_call, next) => {
    const status = await next()
    seen.push(status.cause)
    return status
  }
}
const tapping = (seen: unknown[]): Interceptor => {
  return (call, next) => {
    call.onStatus(({ cause }) => void seen.push(cause))
    return next()
  }
}
const contract: ServerInterceptor = {
  interceptService: (continuation, details) =>
    wrapHandler(continuation(details), (behavior) => (request, context) => behavior(request, context)),
}

describe('the cause of an INTERNAL that a server’s peer is not told', () => {
  const blind: [string, ServerInterceptorLike[]][] = [
    ['no interceptor', []],
    ['one that passes on', [passThrough]],
    ['one that looks at the code', [counting]],
    ['one that makes a status of its own', [masking]],
    ['one that changes the details', [renaming]],
    ['an interceptor object', [contract]],
    ['several of them', [renaming, contract, counting, masking, passThrough]],
  ]
  it.each(blind)('is reported as a process warning where no interceptor looks: %s', async (_what, stack) => {
    const { greet } = await serve(throwing(), ...stack)
    expect(await greet()).toBe(Code.INTERNAL)
    expect(warned).toHaveLength(1)
    expect(warned[0]).toMatchObject({ code: 'GRPC_STACK_UNSEEN_CAUSE' })
    expect(warned[0]?.text).toContain('/greet.v1.Greeter/Greet')
    expect(warned[0]?.text).toContain('the disk is full')
  })

  it.each(blind)('is not where one does: %s', async (_what, stack) => {
    const seen: unknown[] = []
    for (const observer of [recording(seen), tapping(seen)]) {
      const { greet } = await serve(throwing(), ...stack, observer)
      expect(await greet()).toBe(Code.INTERNAL)
    }
    expect(seen).toHaveLength(2)
    for (const cause of seen) expect(String(cause)).toContain('the disk is full')
    expect(warned).toEqual([])
  })

  it('is reported for what an interceptor throws', async () => {
    const broken: Interceptor = () => {
      throw new Error('no such tenant')
    }
    const { greet } = await serve(throwing(), passThrough, broken)
    await greet()
    expect(warned.map(({ text }) => text)).toEqual([expect.stringContaining('no such tenant')])
  })

  it('is reported once a minute for each method, with the number of those in between', async () => {
    const { greet, client, end } = await serve(throwing())
    for (let i = 0; i < 5; i++) await greet()
    expect(warned).toHaveLength(1)
    await end(client.greetAll([]))
    expect(warned).toHaveLength(2)
    vi.advanceTimersByTime(59_999)
    await greet()
    expect(warned).toHaveLength(2)
    vi.advanceTimersByTime(1)
    await greet()
    expect(warned).toHaveLength(3)
    expect(warned[2]?.text).toContain('5 more')
  })

  it('is reported once a minute for all paths that callers invent', async () => {
    const broken: Interceptor = () => {
      throw new Error('what is that?')
    }
    const { channel, end } = await serve({}, broken)
    for (let i = 0; i < 20; i++) {
      const invented = { nowhere: { ...Greeter.greet, path: `/greet.v1.Greeter/Invented${i}` } }
      expect(await end(createClient(invented, channel).nowhere({ name: 'x' }))).toBe(Code.INTERNAL)
    }
    expect(warned).toHaveLength(1)
    expect(warned[0]?.text).toContain('unregistered methods')
    expect(warned[0]?.text).not.toContain('Invented')
  })

  it('is reported without the credentials of the call', async () => {
    const { greet } = await serve(throwing(() => new Error('cannot read very-secret-token')))
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer very-secret-token')
    await greet(metadata)
    expect(warned[0]?.text).toContain('cannot read')
    expect(JSON.stringify(warned)).not.toContain('very-secret')
  })

  it.each([
    ['a status that was meant', () => abort(Code.NOT_FOUND, 'not here')],
    [
      'one with a cause',
      () => {
        throw new RpcError(Code.INTERNAL, 'told', { cause: new Error('why') })
      },
    ],
  ])('is not for %s', async (_what, greet) => {
    const { greet: call } = await serve({ greet })
    expect(await call()).not.toBe(Code.OK)
    expect(warned).toEqual([])
  })
})
