import { inspect } from 'node:util'
import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import { endWith, metadataOf, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

let log: SpanLog
beforeAll(() => {
  log = registerSdk()
})
afterAll(unregisterSdk)
beforeEach(() => log.clear())

const bare = 'k7Qx-91_Zt.4mNbVcXw2'
const basic = Buffer.from('user:correct-horse-9').toString('base64')
const sent = metadataOf({
  authorization: `Bearer ${bare}`,
  'x-api-key': 'live-0123456789',
  cookie: 'theme=dark; sid=cookie-value-77',
  'proxy-authorization': `Basic ${basic}`,
  'auth-token-bin': Buffer.from('binary-credential'),
  'x-tenant': 'acme',
})
const secrets = [bare, 'live-0123456789', 'cookie-value-77', 'correct-horse-9', basic, 'binary-credential']
const quoted = `${secrets.join(' ')} ${encodeURIComponent(bare)} ${bare.slice(0, 10)} ${Buffer.from(bare).toString('base64url')}`

/** Refuses as a verifier does that says too much. */
const refusing: Interceptor = function refusing() {
  const cause = Object.assign(new Error(quoted, { cause: new Error(quoted) }), { code: `E_${bare}` })
  return { code: Code.INTERNAL, details: `invalid token ${bare}`, cause }
}

function expectClean(recorded: readonly ReadableSpan[] | unknown): void {
  const told = Array.isArray(recorded)
    ? recorded.map(({ name, attributes, events, status, links }) => ({ name, attributes, events, status, links }))
    : recorded
  const text = inspect(told, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null })
  for (const secret of secrets) {
    expect(text).not.toContain(secret.slice(0, 8))
    expect(text).not.toContain(secret.slice(-8))
    expect(text).not.toContain(Buffer.from(secret).toString('base64url').slice(0, 12))
  }
}

const keys = ['authorization', 'X-API-Key', 'cookie', 'auth-token-bin', 'x-tenant', 'x-echo']
const captures = { requestHeaders: keys, responseHeaders: keys, responseTrailers: keys }

describe.each(patterns)('credentials of a call, %s', (pattern) => {
  it.each([false, true])('are nowhere in the span of a server that refuses it (stock: %s)', async (stock) => {
    await using server = await startTestServer({ stock, interceptors: [tracing({ metadata: captures }), refusing] })
    await runRpc(server.client(), pattern, { metadata: sent.clone() })
    await log.count(1)
    expect(log.server.status.message).toBe('invalid token [redacted]')
    expect(log.server.events[0]?.attributes).toMatchObject({
      'exception.type': 'E_[redacted]',
      'exception.message': expect.stringContaining('[redacted]'),
      'exception.stacktrace': expect.stringMatching(/\[redacted\][\s\S]*\n {4}at /),
    })
    expect(log.server.attributes).toMatchObject({
      'rpc.request.header.authorization': ['[masked]'],
      'rpc.request.header.x-tenant': ['acme'],
    })
    expectClean(log.ended)
  })

  it('are nowhere in the span of a client whose peer or interceptor quotes them', async () => {
    await using server = await startTestServer()
    const own = tracing({ metadata: captures })
    await runRpc(server.client(own, refusing), pattern, { metadata: sent.clone() })
    const metadata = server.behave((rpc) => {
      rpc.sendHeaders({ 'x-echo': quoted, cookie: quoted })
      rpc.end({ code: Code.UNAUTHENTICATED, details: quoted, metadata: metadataOf({ 'x-echo': quoted }) })
    }, sent)
    await runRpc(server.client(own), pattern, { metadata })
    await log.count(2)
    expect(log.ended[1]?.attributes).toMatchObject({
      'rpc.response.header.x-echo': [expect.stringContaining('[redacted]')],
      'rpc.response.trailer.x-echo': [expect.stringContaining('[redacted]')],
      'rpc.response.header.cookie': ['[masked]'],
    })
    expectClean(log.ended)
  })
})

describe('credentials of a call', () => {
  it.each(patterns)('are nowhere in the spans of its attempts, %s', async (pattern) => {
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE, details: quoted }) })
    const again: Interceptor<ClientCall> = async function again(call, next) {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      await next()
      return next()
    }
    const identity: Interceptor = function identity(call, next) {
      call.metadata.set('authorization', `Bearer ${bare}`)
      return next()
    }
    const metadata = sent.clone()
    metadata.remove('authorization')
    await runRpc(server.client(tracing(), again, identity), pattern, { metadata })
    await log.count(3)
    expect(log.attempts).toHaveLength(2)
    expectClean(log.ended)
  })

  it('that an interceptor of a server takes away are known', async () => {
    const away: Interceptor = function away(call, next) {
      call.metadata = metadataOf({})
      return next()
    }
    await using server = await startTestServer({ interceptors: [tracing(), away, refusing] })
    await runRpc(server.client(), 'unary', { metadata: sent.clone() })
    await log.count(1)
    expectClean(log.ended)
  })

  it('are told neither to the diag logger nor to the process when a hook quotes them', async () => {
    const told: unknown[] = []
    const tell = (...args: unknown[]): void => void told.push(args)
    const onWarning = (warning: Error): void => void told.push(warning.message)
    process.on('warning', onWarning)
    diag.setLogger({ error: tell, warn() {}, info() {}, debug() {}, verbose() {} }, DiagLogLevel.ERROR)
    const hook = (): never => {
      throw new Error(`no hook for ${quoted}`)
    }
    const later = async (): Promise<void> => hook()
    try {
      const own = tracing({ requestHook: hook, responseHook: later })
      await using server = await startTestServer({ interceptors: [own] })
      await runRpc(server.client(), 'unary', { metadata: sent.clone() })
      await log.count(1)
      await new Promise(setImmediate)
    } finally {
      process.off('warning', onWarning)
      diag.disable()
    }
    expect(told.length).toBe(4)
    expect(inspect(told)).toContain('no hook for [redacted]')
    expectClean({ told })
  })

  it('a call that succeeds costs no search for them', async () => {
    let lists = 0
    const counting: Interceptor = (call, next) => {
      const { getMap } = call.metadata
      call.metadata.getMap = () => {
        lists++
        return getMap.call(call.metadata)
      }
      return next()
    }
    await using server = await startTestServer({ interceptors: [counting, tracing({ metadata: captures })] })
    await runRpc(server.client(), 'unary', { metadata: sent.clone() })
    await log.count(1)
    expect(lists).toBeLessThanOrEqual(1)
  })
})
