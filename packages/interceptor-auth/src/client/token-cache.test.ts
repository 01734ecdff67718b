import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import { FakeClock, settle } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { backoffDelay, defaultBackoff } from '../identity-service/backoff.ts'
import type { Token, TokenProvider } from './token.ts'
import { TokenCache, type TokenCacheSettings } from './token-cache.ts'

const START = 1_800_000_000_000
const HOUR = 3_600_000

let clock: FakeClock
beforeEach(() => {
  clock = new FakeClock(START)
})

function cacheOf(provider: TokenProvider, settings: Partial<TokenCacheSettings> = {}): TokenCache {
  return new TokenCache(provider, undefined, {
    refreshBeforeMs: 60_000,
    expirySkewMs: 30_000,
    timeoutMs: 10_000,
    backoff: { ...defaultBackoff, jitter: 0 },
    clock,
    random: () => 0.5,
    ...settings,
  })
}

/** A provider whose answers the test gives. */
function manual() {
  const requests: { give: (token: string | Token) => void; fail: (error: unknown) => void; signal: AbortSignal }[] = []
  const provider: TokenProvider = ({ signal }) =>
    new Promise((give, fail) => {
      requests.push({ give, fail, signal })
    })
  return { provider, requests }
}

const lasting = (token: string, ms = HOUR): Token => ({ token, expiresAt: clock.now() + ms })

async function failure(waiting: Promise<string> | string): Promise<RpcError> {
  try {
    await waiting
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('it did not fail')
}

function failureNow(get: () => unknown): RpcError {
  try {
    get()
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('a token with an expiry', () => {
  // reference: flaw 26, symbol 60
  it('is fetched once for a thousand calls at once, and for all after', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const waiting = Array.from({ length: 1000 }, () => cache.get())
    expect(requests).toHaveLength(1)
    requests[0]!.give(lasting('one'))
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['one']))
    expect(cache.get()).toBe('one')
    expect(requests).toHaveLength(1)
  })

  it('is renewed in the background in its last minute, while calls go on with the old one', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const first = cache.get()
    requests[0]!.give(lasting('one'))
    await first
    await clock.advance(HOUR - 60_001)
    expect(cache.get()).toBe('one')
    expect(requests).toHaveLength(1)
    await clock.advance(1)
    expect([cache.get(), cache.get()]).toEqual(['one', 'one'])
    expect(requests).toHaveLength(2)
    requests[1]!.give(lasting('two'))
    await settle()
    expect(cache.get()).toBe('two')
  })

  // reference: sentence 18
  it('is not used in its last half minute: calls wait for the next one', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const first = cache.get()
    requests[0]!.give(lasting('one'))
    await first
    await clock.advance(HOUR - 30_000)
    const next = cache.get()
    expect(next).toBeInstanceOf(Promise)
    requests[1]!.give(lasting('two'))
    expect(await next).toBe('two')
  })

  it('is not renewed while no call is made', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const first = cache.get()
    requests[0]!.give(lasting('one'))
    await first
    await clock.advance(10 * HOUR)
    expect(requests).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  it('keeps short-lived tokens usable: the margins shrink with the lifetime', async () => {
    let asked = 0
    const cache = cacheOf(async () => lasting(`t${++asked}`, 10_000))
    expect(await cache.get()).toBe('t1')
    await clock.advance(7999)
    expect(cache.get()).toBe('t1')
    expect(asked).toBe(1)
    await clock.advance(1)
    expect(cache.get()).toBe('t1')
    await settle()
    expect(cache.get()).toBe('t2')
  })

  it('that has expired when it is returned is not given to any call, and the next one is asked for after the backoff', async () => {
    let lifetime = -1
    let asked = 0
    const cache = cacheOf(async () => lasting(`t${++asked}`, lifetime))
    for (const error of await Promise.all([failure(cache.get()), failure(cache.get())])) {
      expect(error.code).toBe(Code.UNAUTHENTICATED)
      expect(error.details).toContain('a token that has expired')
    }
    expect(asked).toBe(1)
    lifetime = 0
    await clock.advance(1000)
    expect((await failure(cache.get())).code).toBe(Code.UNAUTHENTICATED)
    lifetime = 1
    await clock.advance(1600)
    expect(await cache.get()).toBe('t3')
  })

  it('that has expired when it is returned at once fails that call only', () => {
    let lifetime = -1
    const cache = cacheOf(() => lasting('t', lifetime))
    expect(failureNow(() => cache.get()).code).toBe(Code.UNAUTHENTICATED)
    lifetime = HOUR
    expect(cache.get()).toBe('t')
  })

  it('that has expired when it is returned does not replace one that still holds', async () => {
    let lifetime = HOUR
    const cache = cacheOf(async () => lasting(`lasting-${lifetime}`, lifetime))
    expect(await cache.get()).toBe(`lasting-${HOUR}`)
    lifetime = -1
    await clock.advance(HOUR - 10_000)
    expect(await cache.get()).toBe(`lasting-${HOUR}`)
  })

  it('of a synchronous provider costs no promise', () => {
    let asked = 0
    const cache = cacheOf(() => lasting(`t${++asked}`))
    expect(cache.get()).toBe('t1')
    expect(cache.get()).toBe('t1')
  })
})

describe('a bare string', () => {
  it('is asked for again by every call, since nothing says how long it holds', async () => {
    let asked = 0
    const sync = cacheOf(() => `s${++asked}`)
    expect([sync.get(), sync.get()]).toEqual(['s1', 's2'])
    const async = cacheOf(async () => `a${++asked}`)
    expect([await async.get(), await async.get()]).toEqual(['a3', 'a4'])
  })

  it('is shared by the calls that wait for it', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const waiting = [cache.get(), cache.get()]
    requests[0]!.give('one')
    expect(await Promise.all(waiting)).toEqual(['one', 'one'])
    expect(requests).toHaveLength(1)
  })
})

describe('a provider that fails', () => {
  it('fails all who wait, and the next at once until the backoff is over', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const waiting = [cache.get(), cache.get()].map(failure)
    requests[0]!.fail(new Error('no route'))
    for (const error of await Promise.all(waiting)) {
      expect(error.code).toBe(Code.UNAVAILABLE)
      expect(error.details).toContain('no route')
    }
    expect(failureNow(() => cache.get()).code).toBe(Code.UNAVAILABLE)
    await clock.advance(999)
    failureNow(() => cache.get())
    expect(requests).toHaveLength(1)
    await clock.advance(1)
    const again = cache.get()
    expect(requests).toHaveLength(2)
    requests[1]!.give(lasting('one'))
    expect(await again).toBe('one')
  })

  it('is asked less and less often, up to two minutes, until it succeeds', async () => {
    const times: number[] = []
    let broken = true
    const cache = cacheOf(async () => {
      times.push(clock.now())
      if (broken) throw new Error('down')
      return lasting('one', 1000)
    })
    while (times.length < 14) {
      try {
        await failure(cache.get())
      } catch {}
      await clock.advance(100)
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!)
    expect(gaps.slice(0, 3)).toEqual([1000, 1600, 2600])
    expect(Math.max(...gaps)).toBe(120_000)
    broken = false
    await clock.advance(120_000)
    expect(await cache.get()).toBe('one')
    broken = true
    await clock.advance(1000)
    await failure(cache.get())
    const before = times.length
    await clock.advance(1000)
    await failure(cache.get())
    expect(times).toHaveLength(before + 1)
  })

  it('in the background leaves the old token in use until it expires', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const first = cache.get()
    requests[0]!.give(lasting('one'))
    await first
    await clock.advance(HOUR - 60_000)
    expect(cache.get()).toBe('one')
    requests[1]!.fail(new Error('down'))
    await settle()
    expect(cache.get()).toBe('one')
    expect(requests).toHaveLength(2)
    // Stale, and the renewal fails: better the token that still holds than none.
    await clock.advance(30_000)
    const stale = cache.get()
    requests[2]!.fail(new Error('down'))
    expect(await stale).toBe('one')
    expect(cache.get()).toBe('one')
    await clock.advance(30_000)
    const none = cache.get()
    requests[3]!.fail(new Error('down'))
    expect((await failure(none)).code).toBe(Code.UNAVAILABLE)
  })

  it('synchronously is asked by the next call: no call waited, so nothing is saved', () => {
    let user: string | undefined
    const cache = cacheOf(() => {
      if (user === undefined) throw new RpcError(Code.UNAUTHENTICATED, 'log in first')
      return user
    })
    expect(failureNow(() => cache.get()).details).toBe('log in first')
    user = 'token'
    expect(cache.get()).toBe('token')
  })

  it('to answer is given up after timeoutMs, and told by its signal', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const waiting = failure(cache.get())
    await clock.advance(9999)
    expect(requests[0]!.signal.aborted).toBe(false)
    await clock.advance(1)
    expect((await waiting).code).toBe(Code.UNAVAILABLE)
    expect(requests[0]!.signal.aborted).toBe(true)
    requests[0]!.give(lasting('late'))
    await settle()
    await clock.advance(1000)
    expect(cache.get()).toBeInstanceOf(Promise)
    expect(clock.pending).toBe(1)
  })

  it('with an RpcError chooses the status', async () => {
    const cache = cacheOf(async () => {
      throw new RpcError(Code.PERMISSION_DENIED, 'not for you')
    })
    expect((await failure(cache.get())).code).toBe(Code.PERMISSION_DENIED)
  })

  const rubbish: [string, unknown][] = [
    ['nothing', undefined],
    ['a number', 42],
    ['an empty text', ''],
    ['a line break', 'a\r\nx-admin: yes'],
    ['a space', 'a b'],
    ['non-ASCII', 'tökén'],
    ['an empty object', {}],
    ['a token that is no text', { token: 7, expiresAt: 0 }],
    ['a date for an expiry', { token: 'a', expiresAt: new Date() }],
    ['NaN for an expiry', { token: 'a', expiresAt: Number.NaN }],
  ]
  for (const [what, given] of rubbish) {
    // reference: flaw 29
    it(`${what} is no token, and its text is not repeated`, async () => {
      const error = await failure(cacheOf(async () => given as string).get())
      expect(error.code).toBe(Code.UNAUTHENTICATED)
      if (typeof given === 'string' && given !== '') expect(error.details).not.toContain(given)
    })
  }
})

describe('a token that was refused', () => {
  it('is replaced by one fetch, whichever call asks', async () => {
    const { provider, requests } = manual()
    const cache = cacheOf(provider)
    const first = cache.get()
    requests[0]!.give(lasting('one'))
    await first
    const waiting = [cache.replace('one'), cache.replace('one')]
    expect(requests).toHaveLength(2)
    requests[1]!.give(lasting('two'))
    expect(await Promise.all(waiting)).toEqual(['two', 'two'])
    // A late refusal of the old one finds the new one there.
    expect(cache.replace('one')).toBe('two')
    expect(requests).toHaveLength(2)
  })

  it('is not replaced again and again when the server refuses everything', async () => {
    let asked = 0
    const cache = cacheOf(async () => lasting(`t${++asked}`))
    expect(await cache.get()).toBe('t1')
    expect(await cache.replace('t1')).toBe('t2')
    expect(cache.replace('t2')).toBeUndefined()
    await clock.advance(1000)
    expect(await cache.replace('t2')).toBe('t3')
    await clock.advance(1599)
    expect(cache.replace('t3')).toBeUndefined()
    cache.accepted()
    expect(await cache.replace('t3')).toBe('t4')
  })
})

describe('backoffDelay', () => {
  it('stays within its jitter of the bound, for any number of failures', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
        const delay = backoffDelay(defaultBackoff, failures, () => random)
        expect(delay).toBeGreaterThanOrEqual(799.999)
        expect(delay).toBeLessThanOrEqual(144_000.001)
      }),
    )
  })
})
