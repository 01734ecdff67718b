import { Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { startGreeter } from '../../test/greeter-server.ts'
import { createServer, RpcError } from '../index.ts'

describe('createServer', () => {
  it.each(['interceptor', 'Interceptors', 'middleware', 'credentials'])(
    'refuses the option "%s", with which interceptors would be left out',
    (name) => {
      expect(() => createServer({ [name]: [() => ({ code: 16 })] })).toThrow(`unknown option "${name}"`)
    },
  )

  it('takes the options of grpc-js', () => {
    expect(() =>
      createServer({ 'grpc.max_receive_message_length': 1, 'grpc-node.max_session_memory': 1 }),
    ).not.toThrow()
  })
})

describe('a method of createClient', () => {
  const mistakes: [string, unknown[], string][] = [
    ['metadata in the place of options', [new Metadata()], 'metadata as an option'],
    ['a callback', [() => undefined], 'no callback'],
    ['a callback behind options', [{}, () => undefined], 'no callback'],
    ['metadata and a callback', [new Metadata(), () => undefined], 'metadata as an option'],
    ['timeout', [{ timeout: 5 }], 'timeoutMs'],
    ['an option that there is not', [{ deadlineMs: 5 }], 'unknown option "deadlineMs"'],
    ['null', [null], 'options must be an object'],
    ['a deadline that is no time', [{ deadline: Number.NaN }], 'deadline'],
    ['one argument too many', [{}, {}], 'takes a request and options'],
  ]
  it.each(mistakes)('refuses %s by name', async (_what, args, text) => {
    const greeter = await startGreeter([])
    try {
      for (const method of ['greet', 'greetMany', 'greetAll', 'chat'] as const) {
        const call = greeter.client[method] as unknown as (...args: unknown[]) => unknown
        expect(() => call({ name: 'Ada' }, ...args)).toThrow(TypeError)
        expect(() => call({ name: 'Ada' }, ...args)).toThrow(text)
      }
    } finally {
      await greeter.stop()
    }
  })

  it('has catch and finally, as a promise has', async () => {
    const refusing = await startGreeter([() => ({ code: 7, details: 'no' })])
    try {
      let ended = 0
      const error = await refusing.client
        .greet({ name: 'Ada' })
        .finally(() => {
          ended++
        })
        .catch((caught: unknown) => caught)
      const again = await refusing.client.greet({ name: 'Ada' }).catch((caught: unknown) => caught)
      expect([error, again]).toEqual([expect.any(RpcError), expect.any(RpcError)])
      expect(ended).toBe(1)
    } finally {
      await refusing.stop()
    }
  })
})
