import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { status as Code } from '@grpc/grpc-js'
import { type ClientCall, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import { endWith, metadataOf, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import bunyan from 'bunyan'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { jsonLogger, type Logger } from './logger.ts'
import { logging } from './logging.ts'

const bare = 'k7Qx-91_Zt.4mNbVcXw2'
const basic = Buffer.from('user:correct-horse-9').toString('base64')
const sent = metadataOf({
  authorization: `Bearer ${bare}`,
  'x-api-key': 'live-0123456789',
  cookie: 'theme=dark; sid=cookie-value-77',
  'proxy-authorization': `Basic ${basic}`,
  'auth-token-bin': Buffer.from('binary-credential'),
})
const secrets = [bare, 'live-0123456789', 'cookie-value-77', 'correct-horse-9', basic, 'binary-credential']
const quoted = `${secrets.join(' ')} ${encodeURIComponent(bare)} ${bare.slice(0, 10)} ${Buffer.from(bare).toString('base64url')}`

/** Refuses as a verifier does that says too much. */
const refusing: Interceptor = function refusing() {
  const cause = Object.assign(new AggregateError([new Error(quoted)], quoted, { cause: new Error(quoted) }), {
    request: { headers: { authorization: `Bearer ${bare}` }, body: quoted },
  })
  return { code: Code.UNAUTHENTICATED, details: `invalid token ${bare}`, cause }
}

function expectClean(recorded: unknown): void {
  const text = inspect(recorded, { depth: 20, showHidden: true, maxStringLength: null })
  for (const secret of secrets) {
    expect(text).not.toContain(secret.slice(0, 8))
    expect(text).not.toContain(secret.slice(-8))
    expect(text).not.toContain(Buffer.from(secret).toString('base64url').slice(0, 12))
  }
}

describe.each(patterns)('credentials of a call, %s', (pattern) => {
  it.each([false, true])('are in no record of a server that refuses it (stock: %s)', async (stock) => {
    const logger = new RecordingLogger()
    const metadata = ['x-echo']
    await using server = await startTestServer({ stock, interceptors: [logging({ logger, metadata }), refusing] })
    await runRpc(server.client(), pattern, { metadata: sent.clone() })
    const [record] = await logger.atLeast(1)
    expect(record?.fields['grpc.error']).toBe('invalid token [redacted]')
    expect(record?.fields.err).toMatchObject({ message: expect.stringContaining('[redacted]') })
    expectClean(record)
  })

  it('are in no record of a client whose peer or interceptor quotes them', async () => {
    const logger = new RecordingLogger()
    await using server = await startTestServer()
    const log = logging({ logger, metadata: ['x-echo'] })
    await runRpc(server.client(log, refusing), pattern, { metadata: sent.clone() })
    const echoed = endWith({ code: Code.UNAUTHENTICATED, details: quoted, metadata: metadataOf({ 'x-echo': quoted }) })
    await runRpc(server.client(log), pattern, { metadata: server.behave(echoed, sent) })
    expect(logger.records).toHaveLength(2)
    expect(logger.records[1]?.fields['grpc.response.trailers']).toMatchObject({
      'x-echo': expect.stringContaining('[redacted]'),
    })
    for (const record of logger.records) expectClean(record)
  })
})

describe('credentials of a call', () => {
  it('that an interceptor of a client sets are known', async () => {
    const logger = new RecordingLogger()
    const identity: Interceptor = function identity(call, next) {
      call.metadata.set('authorization', `Bearer ${bare}`)
      return next()
    }
    await using server = await startTestServer({ behaviour: endWith({ code: Code.INTERNAL, details: quoted }) })
    await runRpc(server.client(logging({ logger }), identity), 'unary')
    expect(JSON.stringify(logger.records)).not.toContain(bare.slice(0, 8))
  })

  it.each(patterns)('that an interceptor sets inside of one that repeats the call are known, %s', async (pattern) => {
    const logger = new RecordingLogger()
    const again: Interceptor<ClientCall> = async function again(call, next) {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      await next()
      return next()
    }
    let n = 0
    const identity: Interceptor = function identity(call, next) {
      call.metadata.set('authorization', `Bearer ${n++ === 0 ? 'first-token-of-two' : bare}`)
      return next()
    }
    const details = `${quoted} first-token-of-two`
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE, details }) })
    await runRpc(server.client(logging({ logger }), again, identity), pattern, { metadata: sent.clone() })
    expect(n).toBe(2)
    expectClean(logger.records)
    expect(JSON.stringify(logger.records)).not.toContain('first-token')
  })

  it('that an interceptor of a server takes away are known', async () => {
    const logger = new RecordingLogger()
    const away: Interceptor = function away(call, next) {
      call.metadata = metadataOf({})
      return next()
    }
    await using server = await startTestServer({ interceptors: [logging({ logger }), away, refusing] })
    await runRpc(server.client(), 'unary', { metadata: sent.clone() })
    await logger.atLeast(1)
    expectClean(logger.records)
  })

  it('are not in what a field of the application or a process warning quotes', async () => {
    const logger = new RecordingLogger()
    const warnings: string[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', onWarning)
    const fields = () => ({ reason: quoted, failure: new Error(quoted), 'line\nbreak': 1 })
    const levels = () => {
      throw new Error(`cannot tell about ${quoted}\u001b[2J`)
    }
    await using server = await startTestServer({ interceptors: [logging({ logger, fields, levels }), refusing] })
    await runRpc(server.client(), 'unary', { metadata: sent.clone() })
    await logger.atLeast(1)
    await new Promise(setImmediate)
    process.off('warning', onWarning)
    expectClean(logger.records)
    expectClean(warnings)
    expect(warnings.join()).toMatch(/"levels" failed: cannot tell about \[redacted\].*\\u001b\[2J/)
  })

  it('a call that succeeds costs no search for them', async () => {
    const logger = new RecordingLogger()
    let lists = 0
    const counting: Interceptor = (call, next) => {
      const { getMap } = call.metadata
      call.metadata.getMap = () => {
        lists++
        return getMap.call(call.metadata)
      }
      return next()
    }
    await using server = await startTestServer({ interceptors: [counting, logging({ logger })] })
    await runRpc(server.client(), 'unary', { metadata: sent.clone() })
    await logger.atLeast(1)
    expect(lists).toBe(0)
  })
})

describe('what a cause says', () => {
  const cause = new RpcError(Code.INTERNAL, 'one\nlevel=info forged', {
    cause: Object.assign(new Error('two\u2028\u0085\u001b[31m\u202egpj\u200b'), { note: 'three\u009b1m\u2029' }),
  })
  const failing: Interceptor = function failing() {
    return { code: Code.INTERNAL, details: 'bad\u0007\u202e', cause }
  }
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })

  it.each<[string, Logger]>([
    ['pino', pino({ level: 'debug' }, stream)],
    ['bunyan', bunyan.createLogger({ name: 'shop', stream })],
    ['console', new Console({ stdout: stream, stderr: stream })],
    ['jsonLogger', jsonLogger({ write: (line) => void lines.push(line) })],
  ])('drives no terminal and forges no line: %s', async (_name, logger) => {
    lines.length = 0
    await using server = await startTestServer({
      interceptors: [logging({ logger, fields: () => ({ own: 'a\u202eb\nc' }) }), failing],
    })
    await runRpc(server.client(), 'unary')
    while (lines.length === 0) await new Promise(setImmediate)
    const written = lines.join('')
    expect(written).toContain('forged')
    expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(written).not.toMatch(/^level=info/m)
  })

  it('of the fields of an application, jsonLogger escapes what others would write as it is', () => {
    lines.length = 0
    jsonLogger({ write: (line) => void lines.push(line) }).info({ nested: { text: 'a\u202e\u2028\u009b' } }, 'b\u200b')
    expect(lines[0]).not.toMatch(/[\u202e\u2028\u009b\u200b]/)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'b\u200b', nested: { text: 'a\u202e\u2028\u009b' } })
  })
})
