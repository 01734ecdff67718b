import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { startGreeter } from '../../test/greeter-server.ts'
import { ContextVar, createChannel, createClient, createServer, RpcError } from '../index.ts'

describe('createServer', () => {
  it.each(['interceptor', 'Interceptors', 'middleware', 'credentials'])(
    'refuses the option "%s", with which interceptors would be left out',
    (name) => {
      expect(() => createServer({ [name]: [() => ({ code: 16 })] })).toThrow(`unknown option "${name}"`)
    },
  )

  it('refuses interceptors that are there but undefined, with which it would run open', () => {
    expect(() => createServer({ interceptors: undefined as never })).toThrow('option "interceptors" is undefined')
  })

  it('refuses a name that the options inherit', () => {
    expect(() => createServer(Object.create({ interceptor: [] }))).toThrow('unknown option "interceptor"')
  })

  it('takes the options of grpc-js', () => {
    expect(() =>
      createServer({ 'grpc.max_receive_message_length': 1, 'grpc-node.max_session_memory': 1 }),
    ).not.toThrow()
  })
})

describe('createChannel', () => {
  it.each(['interceptors', 'interceptor', 'timeoutMs', 'channelOverride'])(
    'refuses the option "%s", which grpc-js would leave unread',
    (name) => {
      expect(() => createChannel('127.0.0.1:1', credentials.createInsecure(), { [name]: [] })).toThrow(
        `unknown option "${name}"`,
      )
    },
  )

  it('refuses a list of interceptors in the place of options, and behind them', () => {
    const make = createChannel as (...args: unknown[]) => unknown
    expect(() => make('127.0.0.1:1', credentials.createInsecure(), [() => ({ code: 0 })])).toThrow('interceptChannel')
    expect(() => make('127.0.0.1:1', credentials.createInsecure(), {}, () => ({ code: 0 }))).toThrow('interceptChannel')
  })

  it('makes stubs whose options are those of a stub on a channel', () => {
    const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
    const options = { interceptors: [] } as object
    expect(() => channel.client(Client, options)).toThrow('unknown option "interceptors"')
    channel.close()
  })
})

describe('createClient', () => {
  it('refuses options, which it does not have', () => {
    const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
    const make = createClient as (...args: unknown[]) => unknown
    expect(() => make({}, channel, { interceptors: [] })).toThrow('interceptChannel')
    channel.close()
  })
})

describe('ContextVar', () => {
  it('refuses an option that there is not', () => {
    expect(() => new ContextVar('tenant', { defualt: 1 } as object)).toThrow('unknown option "defualt"')
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
    ['a deadline in text', [{ deadline: '2026-01-01' }], 'option "deadline"'],
    ['no deadline by null', [{ deadline: null }], 'option "deadline"'],
    ['a controller for its signal', [{ signal: new AbortController() }], 'option "signal"'],
    ['no signal by null', [{ signal: null }], 'option "signal"'],
    ['a signal in the place of options', [new AbortController().signal], 'unknown option'],
    ['an inherited option that there is not', [Object.create({ timeout: 5 })], 'timeoutMs'],
    ['the credentials of a channel', [{ credentials: credentials.createInsecure() }], 'option "credentials"'],
    ['one interceptor for a list', [{ interceptors: () => ({ code: 0 }) }], 'option "interceptors"'],
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
