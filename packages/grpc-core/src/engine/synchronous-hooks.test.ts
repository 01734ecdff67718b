import { status as Code, Metadata } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer, type TestMessage } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { awaiting, sides, until } from '../../test/observing.ts'
import type { Call, ClientCall, Interceptor } from '../index.ts'

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)
beforeEach(() => {
  process.on('unhandledRejection', catchEscaped).on('uncaughtException', catchEscaped)
})
afterEach(() => {
  process.removeListener('unhandledRejection', catchEscaped).removeListener('uncaughtException', catchEscaped)
  expect(escaped.splice(0)).toEqual([])
})

type Register = (call: Call, returned: () => unknown) => void

/** The hooks that may replace what they see. */
const replacing: Record<string, Register> = {
  onRequest: (call, returned) => call.onRequest(returned),
  onResponse: (call, returned) => call.onResponse(returned),
  onResponseMetadata: (call, returned) => call.onResponseMetadata(returned as () => Metadata),
}

const odd = (thenable: () => unknown): unknown => ({
  // biome-ignore lint/suspicious/noThenProperty: an odd promise is what the test is about
  get then() {
    return thenable()
  },
})

/** What a hook returns that was written `async`, or as if it could be. */
const promises: Record<string, () => unknown> = {
  'a promise of nothing': async () => undefined,
  'a promise of a message': async () => ({ text: 'later' }),
  'a promise of Metadata': async () => new Metadata(),
  'a promise that rejects': () => Promise.reject(new Error('secret')),
  'a promise of its own make': () => odd(() => () => undefined),
  'one that throws when it is asked': () =>
    odd(() => {
      throw new Error('secret')
    }),
  'one that throws when it is waited for': () =>
    odd(() => () => {
      throw new Error('secret')
    }),
}

/** What is no Metadata. */
const others: Record<string, () => unknown> = {
  'an object': () => ({ a: 'b' }),
  'a text': () => 'x-a: b',
  true: () => true,
  'a map': () => new Map(),
}

/** Runs an RPC of each kind past an interceptor, and shows what came of them. */
async function pass(side: 'client' | 'server', interceptor: Interceptor) {
  const outer = awaiting()
  const stack = [outer.interceptor, interceptor]
  await using server = await startTestServer({ interceptors: side === 'server' ? stack : [] })
  const client = side === 'client' ? server.client(...stack) : server.client()
  const rpcs = []
  for (const pattern of patterns) {
    rpcs.push(await runRpc(client, pattern, { requests: [{ text: 'a', n: 1 }] }))
  }
  const received = server.calls.flatMap((call): readonly TestMessage[] => call.requests)
  return { outer, rpcs, received }
}

describe.each(sides)('a tap that has to be synchronous, on the %s', (side) => {
  for (const [hook, register] of Object.entries(replacing)) {
    const table = hook === 'onResponseMetadata' ? { ...promises, ...others } : promises
    it.each(Object.entries(table))(`ends its RPC with INTERNAL that names ${hook}: %s`, async (_what, returned) => {
      const { outer, rpcs, received } = await pass(side, (call, next) => {
        register(call, returned)
        return next()
      })
      expect(outer.codes).toEqual([13, 13, 13, 13])
      for (const { status } of rpcs) {
        expect(status?.code).toBe(Code.INTERNAL)
        if (side === 'client') expect(status?.details).toContain(hook)
        else expect(status?.details).toBe('Internal error')
      }
      for (const { cause } of outer.statuses) {
        if (!_what.includes('throws when it is asked')) expect(String(cause)).toContain(hook)
      }
      if (hook === 'onRequest') expect(received).toEqual([])
    })
  }
})

/** The hooks that only listen. */
const listening: Record<string, Register> = {
  onStatus: (call, returned) => call.onStatus(returned),
  onAttempt: (call, returned) => (call as ClientCall).onAttempt(returned as () => undefined),
  'onAttempt, at its end': (call, returned) => (call as ClientCall).onAttempt(() => returned),
}

describe.each(sides)('a tap that only listens, on the %s', (side) => {
  for (const [hook, register] of Object.entries(listening)) {
    if (side === 'server' && hook !== 'onStatus') continue
    it.each(Object.entries(promises))(
      `changes nothing by returning what is reported: ${hook}, %s`,
      async (_what, returned) => {
        const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
        const { outer, rpcs } = await pass(side, (call, next) => {
          register(call, returned)
          return next()
        })
        expect(outer.codes).toEqual([0, 0, 0, 0])
        expect(rpcs.map(({ status }) => status?.code)).toEqual([0, 0, 0, 0])
        await until(() => warnings.mock.calls.length > 0)
        for (const [text] of warnings.mock.calls) expect(String(text)).toContain(hook.slice(0, 8))
      },
    )
  }
})

describe('a tap', () => {
  it.each(sides)('may return any other value, null and its own message: %s', async (side) => {
    const { rpcs } = await pass(side, (call, next) => {
      call.onRequest((message) => message)
      call.onRequest(() => null)
      call.onResponse(() => undefined)
      call.onResponseMetadata((metadata) => metadata)
      call.onStatus(() => 7)
      return next()
    })
    expect(rpcs.map(({ status }) => status?.code)).toEqual([0, 0, 0, 0])
  })
})
