import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { startGreeter } from '../../test/greeter-server.ts'
import { integer, observe, readOptions } from '../authoring.ts'
import { ContextVar, createChannel, createClient, createServer, RpcError } from '../index.ts'

/** What is no options object, though it is an object. */
const noOptions: [string, unknown][] = [
  ['a Date', new Date()],
  ['a promise', Promise.resolve({})],
  // biome-ignore lint/suspicious/noThenProperty: an odd promise is what the test is about
  ['a promise of its own make', { then: () => undefined }],
  ['a Map', new Map()],
  ['an error', new Error('x')],
  ['null', null],
  ['a list', []],
  ['a text', 'x'],
]

const misspelt = [
  ['grpc.max_recieve_message_length', 'grpc.max_receive_message_length'],
  ['grpc.keepalive_time', 'grpc.keepalive_time_ms'],
  ['grpc.keep_alive_time_ms', 'grpc.keepalive_time_ms'],
  ['grpc.keepaliveTimeMs', 'grpc.keepalive_time_ms'],
  ['grpc.max-concurrent-streams', 'grpc.max_concurrent_streams'],
  ['grpc.max_session_memory', 'grpc-node.max_session_memory'],
  ['grpc.service_confg', 'grpc.service_config'],
] as const

// Of other gRPC libraries, or later than the grpc-js at hand, which leaves alone what it does not know.
const unknown = {
  'grpc.min_reconnect_backoff_ms': 1,
  'grpc.max_metadata_size': 1,
  'grpc.http2.max_ping_strikes': 1,
  'grpc.lb_policy_name': 'round_robin',
  'grpc.internal.config_selector': {},
  'grpc.so_reuseport': 1,
  'grpc-node.something_new': 1,
}

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

  it.each(noOptions)('refuses %s in the place of options', (_what, options) => {
    expect(() => createServer(options as never)).toThrow(TypeError)
    expect(() => createServer(options as never)).toThrow('createServer: options must be an object')
  })

  it('refuses a second argument', () => {
    const make = createServer as (...args: unknown[]) => unknown
    expect(() => make({}, [() => ({ code: 16 })])).toThrow('createServer: takes options alone')
    expect(() => make({}, undefined)).toThrow(TypeError)
  })

  it.each(misspelt)('refuses "%s", which grpc-js would leave unread', (name, meant) => {
    expect(() => createServer({ [name]: 1 })).toThrow(TypeError)
    expect(() => createServer({ [name]: 1 })).toThrow(
      `createServer: unknown option "${name}"; did you mean "${meant}"?`,
    )
  })

  it('takes names of other gRPC libraries, as grpc-js does', () => {
    expect(() => createServer(unknown)).not.toThrow()
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

  it.each(noOptions.filter(([what]) => what !== 'a list'))('refuses %s in the place of options', (_what, options) => {
    const make = () => createChannel('127.0.0.1:1', credentials.createInsecure(), options as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow('createChannel: options must be an object')
  })

  it.each(misspelt)('refuses "%s", which grpc-js would leave unread', (name, meant) => {
    const make = () => createChannel('127.0.0.1:1', credentials.createInsecure(), { [name]: 1 })
    expect(make).toThrow(`createChannel: unknown option "${name}"; did you mean "${meant}"?`)
  })

  it('takes names of other gRPC libraries, as grpc-js does', () => {
    createChannel('127.0.0.1:1', credentials.createInsecure(), unknown).close()
  })

  it('refuses a list of interceptors in the place of options, and behind them', () => {
    const make = createChannel as (...args: unknown[]) => unknown
    expect(() => make('127.0.0.1:1', credentials.createInsecure(), [() => ({ code: 0 })])).toThrow('interceptChannel')
    expect(() => make('127.0.0.1:1', credentials.createInsecure(), {}, () => ({ code: 0 }))).toThrow('interceptChannel')
  })

  it('makes stubs whose options are those of a stub on a channel', () => {
    const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
    const options = { interceptors: [] } as object
    expect(() => channel.client(Client, options)).toThrow('unknown option "interceptors"')
    for (const [, wrong] of noOptions) {
      expect(() => channel.client(Client, wrong as never)).toThrow('channel.client: options must be an object')
    }
    const stub = channel.client as (...args: unknown[]) => unknown
    expect(() => stub.call(channel, Client, {}, {})).toThrow('channel.client: takes a stub class and options')
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

  it.each(noOptions)('refuses %s in the place of options', (_what, options) => {
    expect(() => new ContextVar('tenant', options as object)).toThrow('ContextVar "tenant": options must be an object')
  })
})

describe('RpcError', () => {
  it.each(['trailers', 'code', 'refusedby', 'detail'])('refuses the option "%s", which it does not have', (name) => {
    expect(() => new RpcError(5, 'x', { [name]: 1 } as object)).toThrow(TypeError)
    expect(() => new RpcError(5, 'x', { [name]: 1 } as object)).toThrow(`RpcError: unknown option "${name}"`)
  })

  it('says what to write for what is easily given in the place of options', () => {
    expect(() => new RpcError(5, 'x', new Metadata() as object)).toThrow('RpcError: pass metadata as an option')
    expect(() => new RpcError(5, 'x', new Error('y'))).toThrow('RpcError: pass an error as an option: { cause }')
  })

  it.each(noOptions.filter(([what]) => what !== 'an error'))('refuses %s in the place of options', (_what, options) => {
    expect(() => new RpcError(5, 'x', options as object)).toThrow('RpcError: options must be an object')
  })
})

describe('observe', () => {
  const start = () => undefined
  it.each([
    ['end', { start, end: () => undefined }],
    ['onStatus', { start, onStatus: () => undefined }],
  ])('refuses an observer with %s(), which it would never call', (name, observer) => {
    expect(() => observe('mine', observer)).toThrow(TypeError)
    expect(() => observe('mine', observer)).toThrow(
      `observe: unknown function "${name}" in the observer; known is start`,
    )
  })

  it('takes an observer that keeps values of its own, or has a class', () => {
    class Counter {
      calls = 0
      start(): undefined {
        this.count()
      }
      count(): void {
        this.calls++
      }
    }
    expect(() => observe('mine', new Counter())).not.toThrow()
    expect(() => observe('mine', { start, calls: 0 } as never)).not.toThrow()
  })

  it('refuses options that it does not have, and what is none', () => {
    expect(() => observe('mine', { start }, { clok: 1 } as object)).toThrow(
      'observe: unknown option "clok"; did you mean "clock"?',
    )
    expect(() => observe('mine', { start }, { clock: 5 } as object)).toThrow('observe: option "clock" must be')
    expect(() => observe('mine', { start }, { contained: {} } as object)).toThrow('observe: option "contained" must be')
    for (const [, wrong] of noOptions) {
      expect(() => observe('mine', { start }, wrong as object)).toThrow('observe: options must be an object')
    }
  })
})

describe('options that a table describes', () => {
  it.each(noOptions)('are refused where they are %s', (_what, options) => {
    const table = { rate: integer().default(1) }
    expect(() => readOptions('limit', options, table)).toThrow(TypeError)
    expect(() => readOptions('limit', options, table)).toThrow('limit: options must be an object')
  })

  it('may be inherited, or a module', async () => {
    const table = { rate: integer().default(1) }
    expect(readOptions('limit', Object.create({ rate: 2 }), table)).toEqual({ rate: 2 })
    expect(readOptions('limit', Object.assign(Object.create(null), { rate: 3 }), table)).toEqual({ rate: 3 })
    const source = 'data:text/javascript,export const rate = 4'
    const module: unknown = await import(source)
    expect(readOptions('limit', module, table)).toEqual({ rate: 4 })
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
    ['a Date in the place of options', [new Date()], 'options must be an object'],
    ['a promise in the place of options', [Promise.resolve({})], 'options must be an object'],
    ['a host that is no text', [{ host: 5 }], 'option "host" must be a text'],
    ['an empty host', [{ host: '' }], 'option "host" must be a text'],
    ['no host by null', [{ host: null }], 'option "host" must be a text'],
    ['no parent by null', [{ parent: null }], 'option "parent" must be a server call'],
    ['a parent that is no call', [{ parent: {} }], 'option "parent" must be a server call'],
    ['flags that are none', [{ propagate_flags: 'deadline' }], 'option "propagate_flags" must be'],
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
