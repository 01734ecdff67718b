import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { status as Code, type Metadata } from '@grpc/grpc-js'
import { metadataOf } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { failingHandlers, failuresOf } from '../../test/failing-handlers.ts'
import { startGreeter } from '../../test/greeter-server.ts'
import { awaiting } from '../../test/observing.ts'
import { unreadable } from '../../test/unreadable.ts'
import { RpcError } from '../index.ts'

const error = (members: object): Error => Object.assign(new Error('secret'), members)

/** What `execFile` rejects with where the program ends with code 7. */
const exited: unknown = await promisify(execFile)(process.execPath, [
  '-e',
  'console.error("secret"); process.exit(7)',
]).catch((failure: unknown) => failure)

/** What carries a number, or a text, that a status could have. */
const notMeant: Record<string, () => unknown> = {
  'a program that ends with code 7': () => exited,
  'a DOMException': () => new DOMException('secret', 'NotFoundError'),
  'a driver’s error with a number': () => error({ code: 5 }),
  'an error whose details are none': () => error({ code: 5, details: ['secret'] }),
  'an error with metadata of its own': () => error({ code: 5, details: 'secret', metadata: { table: 'secret' } }),
  'an error with half of a Metadata': () =>
    error({ code: 5, details: 'secret', metadata: { getMap: () => ({}), toHttp2Headers: () => ({}) } }),
  'a number in words': () => error({ code: '5', details: 'secret' }),
  'a number that is no code': () => error({ code: 11_000, details: 'secret' }),
  OK: () => error({ code: 0, details: 'secret' }),
  'an object with a code alone': () => ({ code: 5 }),
  'an object with a code and a message': () => ({ code: 5, message: 'secret' }),
  'an object with details alone': () => ({ details: 'secret' }),
  'a text': () => 'secret',
  'a number': () => 5,
  'a function': () => Object.assign(() => undefined, { code: 5, details: 'secret' }),
}

const rejected = (): Metadata => metadataOf({ 'x-why': 'rules' })

/** What is meant as a status: NOT_FOUND, `not here`. */
const meant: Record<string, () => unknown> = {
  'an RpcError': () => new RpcError(Code.NOT_FOUND, 'not here', { metadata: rejected() }),
  'the shape of grpc-js’s errors': () => error({ code: 5, details: 'not here', metadata: rejected() }),
  'an object with code, details and metadata': () => ({ code: 5, details: 'not here', metadata: rejected() }),
  'an object without a prototype': () =>
    Object.assign(Object.create(null), { code: 5, details: 'not here', metadata: rejected() }),
}

describe.each(Object.entries(meant))('%s that a handler ends with', (_what, make) => {
  it.each(failingHandlers(make))('is the status of the RPC: %s', async (_way, handlers) => {
    const server = await startGreeter([], handlers)
    try {
      for (const failure of await failuresOf(server.client)) {
        expect(failure).toMatchObject({ code: Code.NOT_FOUND, details: 'not here' })
        expect(failure.metadata.get('x-why')).toEqual(['rules'])
      }
    } finally {
      await server.stop()
    }
  })
})

for (const [kind, table] of [
  ['not meant as a status', notMeant],
  ['that cannot be read', unreadable],
] as const) {
  describe.each(Object.entries(table))(`%s, ${kind}, that a handler ends with`, (_what, make) => {
    it.each(failingHandlers(make))('is INTERNAL, and its text stays here: %s', async (_way, handlers) => {
      const observer = awaiting()
      const server = await startGreeter([observer.interceptor], handlers)
      try {
        for (const failure of await failuresOf(server.client)) {
          expect(failure).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
          expect(JSON.stringify(failure.metadata)).not.toContain('secret')
        }
        expect(observer.codes).toEqual([13, 13, 13, 13])
        for (const { cause } of observer.statuses) expect(cause).toBeDefined()
      } finally {
        await server.stop()
      }
    })
  })
}

describe('half a surrogate pair in the details of a handler', () => {
  const cut = 'no such user: \u{1F600}'.slice(0, -1)
  it.each(failingHandlers(() => new RpcError(Code.INVALID_ARGUMENT, cut)))(
    'becomes a replacement character: %s',
    async (_way, handlers) => {
      for (const stack of [[], [awaiting().interceptor]]) {
        const server = await startGreeter(stack, handlers)
        try {
          for (const failure of await failuresOf(server.client)) {
            expect(failure).toMatchObject({ code: Code.INVALID_ARGUMENT, details: 'no such user: \uFFFD' })
          }
        } finally {
          await server.stop()
        }
      }
    },
  )
})
