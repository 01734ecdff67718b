import { inspect } from 'node:util'
import { RpcError } from '@grpc-stack/grpc-core'
import { credentialScrubber } from '@grpc-stack/grpc-core/authoring'
import { metadataOf } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { recordedError } from './recorded-error.ts'

const token = 'tok_5f3c9a17e2b84d60'
const scrub = credentialScrubber({ metadata: metadataOf({ authorization: `Bearer ${token}` }) } as never)
const record = (cause: unknown) => recordedError(cause, scrub) as Error & Record<string, unknown>
const everything = (value: unknown) => inspect(value, { depth: 20, showHidden: true }) + JSON.stringify(value)

describe('the error of a record', () => {
  it('has the type, name, code, message and stack of the original, and is an Error', () => {
    class QuotaError extends Error {
      override readonly name = 'QuotaError'
      readonly code = 'E_QUOTA'
    }
    const original = new QuotaError('quota of acme is used up')
    const copy = record(original)
    expect(copy).toBeInstanceOf(Error)
    expect(copy.constructor).toBe(QuotaError)
    expect([copy.name, copy.message, copy.code, copy.stack]).toEqual([
      'QuotaError',
      'quota of acme is used up',
      'E_QUOTA',
      original.stack,
    ])
  })

  it('holds no credential of the call, wherever the original does', () => {
    const original = Object.assign(
      new AggregateError([new Error(`first ${token}`), `second ${token}`], `all failed for ${token}`, {
        cause: new Error(`outer ${token}`, { cause: Object.assign(new Error('inner'), { token: 'of another call' }) }),
      }),
      {
        code: `E_${token}`,
        details: `details ${token}`,
        config: {
          headers: { 'x-api-key': 'of another call', accept: token },
          url: new URL(`https://a.example/?t=${token}`),
        },
        [`for ${token}`]: 1,
        metadata: metadataOf({ 'x-echo': token, 'set-cookie': 'sid=of another call' }),
        bytes: Buffer.from(token),
        inner: new TypeError(token),
      },
    )
    const copy = record(original)
    expect(everything(copy)).not.toContain(token)
    expect(everything(copy)).not.toContain('of another call')
    expect(everything(copy)).not.toContain(Buffer.from(token).toString('base64').slice(0, 12))
    expect(copy.message).toBe('all failed for [redacted]')
    expect(copy.errors).toMatchObject([{ message: 'first [redacted]' }, 'second [redacted]'])
    expect(copy.cause).toMatchObject({ message: 'outer [redacted]', cause: { message: 'inner', token: '[redacted]' } })
    expect(copy.metadata).toEqual({ 'x-echo': ['[redacted]'], 'set-cookie': '[redacted]' })
    expect(copy.inner).toMatchObject({ message: '[redacted]' })
  })

  it('breaks no line and hides nothing, but for the frames of its stack', () => {
    const copy = record(new Error('no\n    at forged (file.js:1:1)\n\u001b[31m\u202e\u200b'))
    const message = 'no\\u000a    at forged (file.js:1:1)\\u000a\\u001b[31m\\u202e\\u200b'
    expect(copy.message).toBe(message)
    const [head, ...frames] = copy.stack?.split('\n') ?? []
    expect(head).toBe(`Error: ${message}`)
    for (const frame of frames) expect(frame).toMatch(/^ {4}at (?!forged)/)
  })

  it('a stack that does not begin with the message shows the frames at its end as lines, and nothing else', () => {
    const original = Object.assign(new Error('now'), {
      stack: 'Error: then\nlevel=info\n    at a (b.js:1:1)\nfor call at\n    at c (d.js:2:2)',
    })
    expect(record(original).stack).toBe(
      'Error: then\\u000alevel=info\n    at a (b.js:1:1)\nfor call at\n    at c (d.js:2:2)',
    )
  })

  it('what refers to itself, is deep, wide or huge ends', () => {
    const loop = new Error('loop')
    loop.cause = loop
    expect(record(loop).cause).toBe('[circular]')
    let deep = new Error('end')
    for (let i = 0; i < 1000; i++) deep = new Error('deep', { cause: deep })
    expect(everything(record(deep))).toContain('[truncated]')
    const wide = record(new AggregateError(Array.from({ length: 1000 }, () => new Error('wide'))))
    expect((wide.errors as unknown[]).length).toBe(32)
    const huge = record(Object.assign(new Error('x'.repeat(1_000_000)), { body: 'y'.repeat(1_000_000) }))
    expect(everything(huge).length).toBeLessThan(40_000)
  })

  it('runs nothing of the class of the original', () => {
    class Hostile extends Error {
      readonly #secret = token
      get secret(): string {
        return this.#secret
      }
      toJSON(): unknown {
        return { secret: this.#secret }
      }
    }
    expect(everything(record(new Hostile('hostile')))).not.toContain(token)
  })

  it('of what is no error: a text is cleaned, an object is none, a proxy is unreadable', () => {
    expect(record(`thrown ${token}\n`)).toEqual({ message: 'thrown [redacted]\\u000a' })
    expect(record({ code: 5, details: 'in the status already' })).toBeUndefined()
    expect(record(undefined)).toBeUndefined()
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    expect(record(revoked.proxy)).toEqual({ message: '[unreadable]' })
  })

  it('an RpcError keeps what it says', () => {
    expect(record(new RpcError(5, `no ${token}`, { refusedBy: 'auth' }))).toMatchObject({
      name: 'RpcError',
      code: 5,
      details: 'no [redacted]',
      message: '5 NOT_FOUND: no [redacted]',
      refusedBy: 'auth',
    })
  })
})
