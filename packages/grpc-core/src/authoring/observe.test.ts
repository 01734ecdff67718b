import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code, Metadata } from '@grpc/grpc-js'
import { FakeClock, failing, patterns, type RpcSettings, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type CallRecord,
  isTraced,
  type Observation,
  type Observer,
  observe,
  recordOf,
  spanOf,
  tellSpan,
} from '../authoring.ts'
import {
  type Call,
  type ClientCall,
  chain,
  type Interceptor,
  type Next,
  type Status,
  type UnaryUnaryClientInterceptor,
} from '../index.ts'

afterEach(() => vi.restoreAllMocks())

const requests: RpcSettings = { requests: [{ text: 'a', n: 2 }] }

/** An observer that keeps the records it is given. */
function keeping(observation: Observation = {}, name = 'keeping') {
  const records: CallRecord[] = []
  const interceptor = observe(name, {
    start(_call, record) {
      records.push(record)
      return observation
    },
  })
  return { records, interceptor }
}

describe('a function of an observation that is none of its hooks', () => {
  const warned = () =>
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined).mock.calls as unknown as [string][]

  it('is told of by name, at the first call, and harms none', async () => {
    const warnings = warned()
    const ends: number[] = []
    const observation = { finish: () => undefined, end: ({ code }: Status) => void ends.push(code) }
    await using server = await startTestServer({ interceptors: [keeping(observation, 'mine').interceptor] })
    const client = server.client()
    for (const pattern of patterns) expect((await runRpc(client, pattern, requests)).status?.code).toBe(Code.OK)
    expect(ends).toEqual([0, 0, 0, 0])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.[0]).toContain(
      'mine: "start" failed: unknown function "finish" in the observation; known are request, response, headers, attempt, around, end',
    )
  })

  it('is none of the sort in a class of its own, or where it is a value', async () => {
    const warnings = warned()
    class Timed {
      readonly since = Date.now()
      end(): void {
        this.log()
      }
      log(): void {}
    }
    const observations = [new Timed(), { since: 1, end: () => undefined }] as Observation[]
    await using server = await startTestServer({
      interceptors: observations.map((each) => keeping(each).interceptor),
    })
    await runRpc(server.client(), 'unary', requests)
    expect(warnings).toEqual([])
  })
})

/** Tries up to three times. */
const repeating = (call: ClientCall, next: Next): Promise<Status> => {
  call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  let left = 2
  const again = async (status: Status): Promise<Status> =>
    status.code === Code.OK || left-- === 0 ? status : again(await next())
  return call.recover(next, (status) => (status.code === Code.OK ? undefined : again(status)))
}

describe('the record of a call', () => {
  it.each(patterns)('is one for all observers on it, on each side: %s', async (pattern) => {
    const [a, b, c] = [keeping(), keeping(), keeping()]
    const [x, y, z] = [keeping(), keeping(), keeping()]
    await using server = await startTestServer({ interceptors: [x.interceptor, chain(y.interceptor), z.interceptor] })
    await runRpc(server.client(a.interceptor, chain(b.interceptor), c.interceptor), pattern, requests)
    expect([a, b, c, x, y, z].map(({ records }) => records.length)).toEqual([1, 1, 1, 1, 1, 1])
    expect(new Set([a, b, c].flatMap(({ records }) => records)).size).toBe(1)
    expect(new Set([x, y, z].flatMap(({ records }) => records)).size).toBe(1)
    expect([a.records[0]?.side, x.records[0]?.side]).toEqual(['client', 'server'])
    expect(a.records[0]?.method.path).toBe(x.records[0]?.method.path)
  })

  it('is another one for the next call', async () => {
    const { records, interceptor } = keeping()
    await using server = await startTestServer()
    const client = server.client(interceptor)
    await runRpc(client, 'unary', requests)
    await runRpc(client, 'unary', requests)
    expect(new Set(records).size).toBe(2)
  })

  it('is one for observers of two copies of this package', async () => {
    vi.resetModules()
    const other = await import('../authoring.ts')
    expect(other.observe).not.toBe(observe)
    const { records, interceptor } = keeping()
    const theirs: CallRecord[] = []
    const ends: unknown[] = []
    const stranger = other.observe('stranger', {
      start(_call, record) {
        theirs.push(record)
        record.countResponses()
        return { end: (status) => void ends.push([status.code, record.responses]) }
      },
    })
    await using server = await startTestServer()
    await runRpc(server.client(interceptor, stranger), 'serverStream', requests)
    await runRpc(server.client(stranger, interceptor), 'serverStream', requests)
    expect(theirs).toEqual(records)
    expect(theirs.every((record, i) => record === records[i])).toBe(true)
    expect(ends).toEqual([
      [Code.OK, 2],
      [Code.OK, 2],
    ])
  })

  it('is found by interceptors that are no observers, once one stands outside of them', async () => {
    const { records, interceptor } = keeping()
    const found: (CallRecord | undefined)[] = []
    const looking: Interceptor = (call, next) => {
      found.push(recordOf(call))
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(looking, interceptor, looking), 'unary', requests)
    expect(found).toEqual([undefined, records[0]])
  })

  it('tells when the first observer began', async () => {
    const { records, interceptor } = keeping()
    await using server = await startTestServer()
    const [before, wall] = [performance.now(), Date.now()]
    await runRpc(server.client(interceptor), 'unary', requests)
    const record = records[0] as CallRecord
    expect(record.startedAt).toBeGreaterThanOrEqual(before)
    expect(record.startedAt).toBeLessThanOrEqual(performance.now())
    expect(record.startTime).toBeGreaterThanOrEqual(wall - 2)
    expect(record.startTime).toBeLessThanOrEqual(Date.now() + 2)
    expect(record.peer()).toBe(server.address)
  })
})

describe('what is repeated', () => {
  it.each(patterns)('has a record for each attempt inside, and one for the call outside: %s', async (pattern) => {
    const seen: string[] = []
    const counting = (name: string): Interceptor =>
      observe(name, {
        start(_call, record) {
          record.countRequests()
          return { end: (status) => void seen.push(`${name} ${status.code} ${record.requests}`) }
        },
      })
    const [outer, inner] = [keeping(), keeping()]
    await using server = await startTestServer({ interceptors: [failing(2)] })
    const client = server.client(counting('call'), outer.interceptor, repeating, counting('attempt'), inner.interceptor)
    const several = pattern === 'clientStream' || pattern === 'bidi'
    const rpc = await runRpc(client, pattern, { requests: several ? [{ text: 'a' }, { text: 'b' }] : [{ text: 'a' }] })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(outer.records).toHaveLength(1)
    expect(new Set([...inner.records, ...outer.records]).size).toBe(4)
    const ends = seen.filter((line) => line.endsWith(several ? '2' : '1')).map((line) => line.split(' ', 2).join(' '))
    // An attempt that fails at once may not have taken every message.
    expect(ends.slice(-2)).toEqual(['attempt 0', 'call 0'])
    expect(seen).toHaveLength(4)
  })

  it('has a record for each continuation of an interceptor object', async () => {
    const [outer, inner] = [keeping(), keeping()]
    const twice: UnaryUnaryClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        await continuation(details, request)
        return continuation(details, request)
      },
    }
    await using server = await startTestServer()
    await runRpc(server.client(outer.interceptor, twice, inner.interceptor), 'unary', requests)
    expect(new Set([...outer.records, ...inner.records]).size).toBe(3)
  })

  it('is not what a deadline bounds that an interceptor shortened', async () => {
    const [outer, inner] = [keeping(), keeping()]
    const hurried: Interceptor = (call, next) => {
      call.deadline = Date.now() + 60_000
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(outer.interceptor, hurried, inner.interceptor), 'unary', requests)
    expect(inner.records).toEqual(outer.records)
  })
})

describe('an observation', () => {
  it.each(patterns)('hears of messages, headers, attempts and the end, on each side: %s', async (pattern) => {
    const heard: Record<'client' | 'server', string[]> = { client: [], server: [] }
    const listening = observe('listening', {
      start: ({ side }) => ({
        request: (_message, n) => void heard[side].push(`request ${n}`),
        response: (_message, n) => void heard[side].push(`response ${n}`),
        headers: (metadata) => void heard[side].push(`headers ${metadata instanceof Metadata}`),
        attempt({ number }) {
          heard[side].push(`attempt ${number}`)
          return ({ code }) => void heard[side].push(`attempt ends ${code}`)
        },
        end: ({ code }) => void heard[side].push(`end ${code}`),
      }),
    })
    await using server = await startTestServer({ interceptors: [listening] })
    const several = pattern === 'clientStream' || pattern === 'bidi'
    const sent = several ? [{ text: 'a' }, { text: 'b' }] : [{ text: 'a', n: 2 }]
    await runRpc(server.client(listening), pattern, { requests: sent })
    const responses = pattern === 'serverStream' || pattern === 'bidi' ? 2 : 1
    const messages = [
      ...sent.map((_, i) => `request ${i + 1}`),
      ...Array.from({ length: responses }, (_, i) => `response ${i + 1}`),
    ]
    expect(heard.client.toSorted()).toEqual(
      ['attempt 1', 'attempt ends 0', 'end 0', 'headers true', ...messages].toSorted(),
    )
    expect(heard.server.toSorted()).toEqual(['end 0', 'headers true', ...messages].toSorted())
    expect([heard.client.at(-1), heard.server.at(-1)]).toEqual(['end 0', 'end 0'])
  })

  it('looks at no message, headers or attempt that it has no hook for, and returns the promise of next() itself', () => {
    const asked: string[] = []
    const outcome = Promise.resolve({ code: Code.OK })
    const call = new Proxy({ side: 'client' } as Record<PropertyKey, unknown>, {
      get: (own, name) => (name in own || typeof name === 'symbol' ? own[name] : () => void asked.push(name)),
    })
    const interceptor = observe('ends', { start: () => ({ end: () => undefined }) })
    expect(interceptor(call as unknown as Call, () => outcome)).toBe(outcome)
    expect(asked).toEqual(['onStatus'])
    const idle = observe('idle', { start: () => undefined })
    expect(idle(call as unknown as Call, () => outcome)).toBe(outcome)
    expect(asked).toEqual(['onStatus'])
  })

  it('hears the status and the duration of its own layer', async () => {
    const ends: unknown[] = []
    const [early, late] = [new FakeClock(), new FakeClock()]
    const ending = (name: string, clock: FakeClock) =>
      observe(name, { start: () => ({ end: ({ code }, ms) => void ends.push([name, code, ms]) }) }, { clock })
    const mapping: Interceptor = async (_call, next) => {
      await early.advance(30)
      await next()
      await early.advance(5)
      return { code: Code.ABORTED }
    }
    await using server = await startTestServer()
    const advancing: Interceptor = async (_call, next) => {
      const status = await next()
      await late.advance(7)
      return status
    }
    await runRpc(server.client(ending('outer', early), mapping, ending('inner', late), advancing), 'unary', requests)
    expect(ends).toEqual([
      ['inner', Code.OK, 7],
      ['outer', Code.ABORTED, 35],
    ])
  })

  it('runs in the asynchronous context of its layer', async () => {
    const storage = new AsyncLocalStorage<string>()
    const seen: string[] = []
    const entering =
      (name: string): Interceptor =>
      (_call, next) =>
        storage.run(name, next)
    const looking = (name: string) => {
      const note = (what: string) => void seen.push(`${name} ${what} ${storage.getStore()}`)
      return observe(name, {
        start: () => ({
          request: () => note('request'),
          response: () => note('response'),
          headers: () => note('headers'),
          attempt: () => note('attempt'),
          end: () => note('end'),
        }),
      })
    }
    await using server = await startTestServer()
    const client = server.client(entering('a'), looking('outer'), entering('b'), looking('inner'))
    await runRpc(client, 'unary', requests)
    expect(seen.filter((line) => line.startsWith('outer') && !line.endsWith(' a'))).toEqual([])
    expect(seen.filter((line) => line.startsWith('inner') && !line.endsWith(' b'))).toEqual([])
    expect(seen).toHaveLength(10)
  })

  it('may run what is inside of it in a context of its own', async () => {
    const storage = new AsyncLocalStorage<string>()
    const entered = observe('entered', { start: () => ({ around: (proceed) => storage.run('mine', proceed) }) })
    let seen: unknown
    const looking: Interceptor = (_call, next) => {
      seen = storage.getStore()
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(entered, looking), 'unary', requests)
    expect(seen).toBe('mine')
  })

  it('sees the messages of its layer, as interceptors outside of it made them', async () => {
    const texts: string[] = []
    const changing: Interceptor = (call, next) => {
      call.onRequest(() => ({ text: 'changed' }))
      return next()
    }
    const reading = observe('reading', {
      start: () => ({ request: (message) => void texts.push((message as { text: string }).text) }),
    })
    await using server = await startTestServer()
    await runRpc(server.client(reading, changing, reading), 'unary', requests)
    expect(texts).toEqual(['a', 'changed'])
  })
})

describe('counts and sizes', () => {
  it('are shared: each message is counted and measured once', async () => {
    const sizeOf = vi.fn((message: unknown) => (message as { text: string }).text.length)
    const told: unknown[] = []
    const measuring = (name: string) =>
      observe(name, {
        start(_call, record) {
          record.countRequests()
          record.countResponses()
          const bytes = record.measure(sizeOf)
          return { end: () => void told.push([name, record.requests, record.responses, { ...bytes }]) }
        },
      })
    await using server = await startTestServer()
    const client = server.client(measuring('outer'), measuring('inner'))
    await runRpc(client, 'bidi', { requests: [{ text: 'a' }, { text: 'bcd' }] })
    expect(sizeOf).toHaveBeenCalledTimes(4)
    const [inner, outer] = told as [unknown[], unknown[]]
    expect(inner.slice(1)).toEqual(outer.slice(1))
    expect(outer.slice(0, 3)).toEqual(['outer', 2, 2])
    expect(outer[3]).toMatchObject({ requests: 4, responses: 4 })
  })

  it('are not there where no observer asked', async () => {
    const { records, interceptor } = keeping()
    await using server = await startTestServer()
    await runRpc(server.client(interceptor), 'bidi', requests)
    expect([records[0]?.requests, records[0]?.responses]).toEqual([undefined, undefined])
  })

  it('count nothing where measuring fails', async () => {
    const failed = vi.fn()
    let sums: unknown
    const measuring = observe('measuring', {
      start(_call, record) {
        record.measure((async () => {
          throw new Error('no size')
        }) as unknown as () => number)
        const bytes = record.measure(() => {
          throw new Error('no size')
        }, failed)
        record.measure(() => Number.NaN)
        return {
          end() {
            sums = { requests: bytes.requests, responses: bytes.responses }
          },
        }
      },
    })
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(measuring), 'unary', requests)
    expect([rpc.status?.code, sums, failed.mock.calls.length]).toEqual([Code.OK, { requests: 0, responses: 0 }, 2])
  })
})

describe('credentials', () => {
  it('of the call, of its attempts and of the trailers are known to the record', async () => {
    let text = ''
    const scrubbing = observe('scrubbing', {
      start(_call, record) {
        record.followCredentials()
        record.followCredentials()
        return {
          end(status) {
            text = record.scrubber(status)('first-secret second-secret third-secret')
          },
        }
      },
    })
    let attempt = 0
    const authorizing: Interceptor = (call, next) => {
      call.metadata = new Metadata()
      call.metadata.set('authorization', `Bearer ${['second', 'third'][attempt++ % 2]}-secret`)
      return next()
    }
    await using server = await startTestServer({ interceptors: [failing(9)] })
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer first-secret')
    await runRpc(server.client(scrubbing, repeating, authorizing), 'unary', { ...requests, metadata })
    expect(text).toBe('[redacted] [redacted] [redacted]')
  })

  it('that stood in the metadata where an observer further in began are known too', async () => {
    let text = ''
    const following = observe('following', {
      start(_call, record) {
        record.followCredentials()
        return {
          end() {
            text = record.scrubber()('first-secret second-secret third-secret')
          },
        }
      },
    })
    const replacing =
      (token: string): Interceptor =>
      (call, next) => {
        call.metadata = new Metadata()
        call.metadata.set('authorization', `Bearer ${token}`)
        return next()
      }
    await using server = await startTestServer()
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer first-secret')
    const client = server.client(following, replacing('second-secret'), following, replacing('third-secret'))
    await runRpc(client, 'unary', { ...requests, metadata })
    expect(text).toBe('[redacted] [redacted] [redacted]')
  })
})

describe('the span of a call', () => {
  it('is found by observers of either copy, inside of what repeats too', async () => {
    vi.resetModules()
    const other = await import('../authoring.ts')
    const span = { spanContext: () => ({ traceId: 'a', spanId: 'b', traceFlags: 1 }) }
    const found: unknown[] = []
    const tracing: Interceptor = (call, next) => {
      found.push(isTraced(call), spanOf(call))
      tellSpan(call, span)
      return next()
    }
    const looking: Interceptor = (call, next) => {
      found.push(isTraced(call), spanOf(call), other.spanOf(call))
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(tracing, repeating, looking), 'unary', requests)
    expect(found).toEqual([false, undefined, true, span, span])
  })
})

describe('an observer that fails', () => {
  const boom = (): never => {
    throw new Error('out of order')
  }
  const hooks: Observation = { request: boom, response: boom, headers: boom, attempt: boom, around: boom, end: boom }
  const failures: [string, Observer][] = [
    ['throws in start', { start: boom }],
    ['throws in every hook', { start: () => hooks }],
    ['rejects in start', { start: (async () => boom()) as unknown as Observer['start'] }],
    [
      'rejects in every hook',
      { start: () => Object.fromEntries(Object.keys(hooks).map((k) => [k, async () => boom()])) },
    ],
    ['observes with a text', { start: (() => 'no') as unknown as Observer['start'] }],
    ['has a hook that is no function', { start: () => ({ request: 5, end: 5 }) as unknown as Observation }],
    ['throws where an attempt ends', { start: () => ({ attempt: () => boom }) }],
    ['proceeds twice', { start: () => ({ around: (proceed) => [proceed(), proceed()].at(0) }) }],
    ['proceeds too late', { start: () => ({ around: (proceed) => void setImmediate(proceed) }) }],
  ]

  it.each(failures)('%s: harms no RPC', async (_what, observer) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const calls: string[] = []
    const passing: Interceptor = (call, next) => {
      calls.push(call.side)
      return next()
    }
    const interceptor = observe('broken', observer)
    await using server = await startTestServer({ interceptors: [interceptor, passing] })
    const rpc = await runRpc(server.client(interceptor, passing), 'serverStream', requests)
    expect([rpc.status?.code, rpc.messages.length, calls]).toEqual([Code.OK, 2, ['client', 'server']])
  })

  it('is warned of once for each hook', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    await using server = await startTestServer()
    const client = server.client(observe('broken', { start: () => ({ request: boom, end: boom }) }))
    for (let i = 0; i < 3; i++) await runRpc(client, 'unary', requests)
    expect(warned.mock.calls.map(([text]) => text)).toEqual([
      'broken: "request" failed: out of order. RPCs are not affected; more failures are only counted.',
      'broken: "end" failed: out of order. RPCs are not affected; more failures are only counted.',
    ])
  })

  it('has a clock that fails: durations are 0', async () => {
    const durations: number[] = []
    const failed = vi.fn()
    const observer: Observer = { start: () => ({ end: (_status, ms) => void durations.push(ms) }) }
    const times = [boom, () => 5, () => 5, boom, () => 9, () => 2]
    const interceptor = observe('timed', observer, {
      clock: { now: () => (times.shift() as () => number)() },
      contained: { failed },
    })
    await using server = await startTestServer()
    const client = server.client(interceptor)
    for (let i = 0; i < 3; i++) await runRpc(client, 'unary', requests)
    expect(durations).toEqual([0, 0, 0])
    expect(failed.mock.calls.map(([, where]) => where)).toEqual(['clock', 'clock'])
  })
})

describe('set-up', () => {
  it.each([
    [['', { start: () => undefined }], /a name/],
    [['x', undefined], /an object with start\(\), got undefined/],
    [['x', { begin: () => undefined }], /an object with start\(\)/],
    [['x', { start: () => undefined }, { side: 'both' }], /"side" must be/],
    [['x', { start: () => undefined }, { clocks: {} }], /unknown option "clocks"; did you mean "clock"/],
  ])('refuses %s', (given, text) => {
    expect(() => observe(...(given as unknown as Parameters<typeof observe>))).toThrow(text)
  })

  it('names the interceptor', () => {
    expect(observe('slowCalls', { start: () => undefined }).name).toBe('slowCalls')
  })
})
