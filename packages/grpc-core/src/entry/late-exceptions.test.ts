import { Metadata, type Server, type ServerDuplexStream, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connect, Greeter } from '../../test/greeter.ts'
import { collect, failureOf, streamFailureOf } from '../../test/greeter-server.ts'
import { createClient, createServer, RpcError, type ServiceClient } from '../index.ts'

// biome-ignore lint/suspicious/noExplicitAny: the handlers have no types, as in JavaScript
type Loose = any
type Chat = ServerDuplexStream<unknown, unknown>

const closers: (() => void)[] = []
let warned: { text: string; code: unknown; detail?: string }[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  warned = []
  vi.spyOn(process, 'emitWarning').mockImplementation(((text: string, options: { code: unknown }) => {
    warned.push({ text, ...options })
  }) as typeof process.emitWarning)
})
afterEach(() => {
  vi.useRealTimers()
  for (const close of closers.splice(0).reverse()) close()
})

async function serve(implementation: object): Promise<ServiceClient<typeof Greeter>> {
  const server: Server = createServer()
  server.addService(Greeter, implementation as UntypedServiceImplementation)
  const channel = await connect(server)
  closers.push(
    () => server.forceShutdown(),
    () => channel.close(),
  )
  return createClient(Greeter, channel)
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
const ANSWER = { text: 'the answer' }
const NAMES = Array.from({ length: 40 }, (_, i) => ({ name: String(i) }))
const late = (): Error => new Error('too late')

/** What a handler does once it has answered. */
const failing: Record<string, (call: Loose) => unknown> = {
  'throws at once': () => {
    throw late()
  },
  'rejects at once': () => Promise.reject(late()),
  'rejects when the RPC is over': async (call) => {
    await new Promise((resolve) => call.once('cancelled', resolve))
    throw late()
  },
}

const failingStreams: Record<string, (call: Loose) => unknown> = {
  ...failing,
  "emits 'error'": (call) => call.emit('error', late()),
}

describe('a handler that has answered and then', () => {
  it.each(Object.entries(failing))('%s keeps its response, and the process is warned', async (_what, fail) => {
    const greet = (call: Loose, callback: Loose): unknown => {
      callback(null, ANSWER)
      return fail(call)
    }
    const client = await serve({ greet, greetAll: greet })
    expect(await client.greet({ name: 'x' })).toEqual(ANSWER)
    expect(await client.greetAll([{ name: 'x' }])).toEqual(ANSWER)
    await expect.poll(() => warned).toHaveLength(2)
    for (const [i, name] of ['Greet', 'GreetAll'].entries()) {
      expect(warned[i]?.code).toBe('GRPC_STACK_LATE_EXCEPTION')
      expect(warned[i]?.text).toContain(`/greet.v1.Greeter/${name} has failed after it had answered`)
      expect(warned[i]?.text).toContain('too late')
      expect(warned[i]?.detail).toContain('late-exceptions.test')
    }
  })

  it.each(Object.entries(failingStreams))('%s keeps its stream, and the process is warned', async (_what, fail) => {
    const chat = (call: Chat): unknown => {
      for (const message of NAMES) call.write(message)
      call.end()
      return fail(call)
    }
    const client = await serve({ greetMany: chat, chat })
    expect(await collect(client.greetMany({ name: 'x' }))).toEqual(NAMES)
    expect(await collect(client.chat([]))).toEqual(NAMES)
    await expect.poll(() => warned).toHaveLength(2)
    expect(warned.map(({ code }) => code)).toEqual(['GRPC_STACK_LATE_EXCEPTION', 'GRPC_STACK_LATE_EXCEPTION'])
  })

  it('fails again with the error it answered with is not reported', async () => {
    const error = new RpcError(5, 'not here')
    const greet = (_call: Loose, callback: Loose): never => {
      callback(error)
      throw error
    }
    const chat = async (call: Chat): Promise<never> => {
      call.emit('error', error)
      throw error
    }
    const client = await serve({ greet, greetAll: greet, greetMany: chat, chat })
    expect(await failureOf(client.greet({ name: 'x' }))).toMatchObject({ code: 5 })
    expect(await failureOf(client.greetAll([]))).toMatchObject({ code: 5 })
    expect(await streamFailureOf(client.greetMany({ name: 'x' }))).toMatchObject({ code: 5 })
    expect(await streamFailureOf(client.chat([]))).toMatchObject({ code: 5 })
    await settled()
    expect(warned).toEqual([])
  })

  it('fails often is reported once a minute, with the number of the others', async () => {
    const greet = (_call: Loose, callback: Loose): never => {
      callback(null, ANSWER)
      throw late()
    }
    const client = await serve({ greet })
    for (let i = 0; i < 3; i++) await client.greet({ name: 'x' })
    expect(warned).toHaveLength(1)
    vi.advanceTimersByTime(60_000)
    await client.greet({ name: 'x' })
    expect(warned).toHaveLength(2)
    expect(warned[1]?.text).toContain('2 more went unreported')
  })

  it('fails with its caller’s credentials is reported without them', async () => {
    const greet = (call: Loose, callback: Loose): never => {
      callback(null, ANSWER)
      throw new Error(`refused ${call.metadata.get('authorization')}`)
    }
    const client = await serve({ greet })
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer opaque-token-of-a-caller')
    await client.greet({ name: 'x' }, { metadata })
    expect(warned).toHaveLength(1)
    expect(warned[0]?.text).not.toContain('opaque-token')
  })
})

describe('a handler that fails before it has answered', () => {
  it('ends its stream with an error, whatever it has written', async () => {
    const chat = (call: Chat): never => {
      for (const message of NAMES) call.write(message)
      throw late()
    }
    const client = await serve({ greetMany: chat, chat })
    expect(await streamFailureOf(client.greetMany({ name: 'x' }))).toMatchObject({ code: 13 })
    expect(await streamFailureOf(client.chat([]))).toMatchObject({ code: 13 })
  })

  it('ends its stream with an error, if it destroys it with messages unsent after ending it', async () => {
    const chat = (call: Chat): void => {
      for (const message of NAMES) call.write({ ...message, text: 'x'.repeat(100_000) })
      call.end()
      call.destroy(late())
    }
    const client = await serve({ greetMany: chat, chat })
    expect(await streamFailureOf(client.greetMany({ name: 'x' }))).toMatchObject({ code: 13 })
  })
})
