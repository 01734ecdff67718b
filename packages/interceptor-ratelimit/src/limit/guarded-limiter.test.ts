import { FakeClock, settle } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Decision, Limiter } from '../stores/store.ts'
import { GuardedLimiter, type StoreCounters, StoreFailure } from './guarded-limiter.ts'
import { StoreHealth } from './store-health.ts'

const fine: Decision = { admitted: true, limits: [{ waitMs: 0, remaining: 1, resetMs: 1 }] }

/** A store of which each answer is given by the test. */
class PlayedStore implements Limiter {
  readonly asked: { resolve(decision: unknown): void; reject(error: unknown): void }[] = []

  take(): Promise<Decision> {
    return new Promise((resolve, reject) =>
      this.asked.push({ resolve: resolve as (decision: unknown) => void, reject }),
    )
  }
}

function guarded(limiter: Limiter, retryMs = 1000) {
  const clock = new FakeClock()
  const changes: string[] = []
  const counters: StoreCounters = {
    storeAnswers: 0,
    storeAnswersMs: 0,
    storeLate: 0,
    storeErrors: 0,
    remembered: 0,
    storeLeftAlone: 0,
  }
  const health = new StoreHealth({
    clock,
    retryMs,
    onDown: (partition, error) => changes.push(`${partition}down: ${(error as Error | undefined)?.message}`),
    onUp: (partition) => changes.push(`${partition}up`),
  })
  const guard = new GuardedLimiter(limiter, { timeoutMs: 50, rememberRefusals: true, clock, health, counters })
  return { clock, changes, counters, health, take: (key = 'k') => guard.take([key], [1]) }
}

/** Fails five times in a row over 200 ms. */
async function goDown({ clock, take }: ReturnType<typeof guarded>, key?: string): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await take(key)
    if (i < 4) await clock.advance(50)
  }
}

describe('GuardedLimiter', () => {
  it('returns an answer that needs no promise', () => {
    const { take, clock } = guarded({ take: () => fine })
    expect(take()).toBe(fine)
    expect(clock.pending).toBe(0)
  })

  it('resolves with an answer that comes in time, and leaves no timer', async () => {
    const store = new PlayedStore()
    const { take, clock } = guarded(store)
    const answer = take()
    await clock.advance(49)
    store.asked[0]?.resolve(fine)
    expect(await answer).toBe(fine)
    expect(clock.pending).toBe(0)
  })

  it('takes an answer that was there when the timer ran as one in time', async () => {
    const store = new PlayedStore()
    const { take, clock, changes } = guarded(store)
    const answer = take()
    clock.setTimeout(() => setImmediate(() => store.asked[0]?.resolve(fine)), 49) // read in the same turn, after the timers
    clock.jump(50)
    await clock.advance(1)
    expect(await answer).toBe(fine)
    expect(changes).toEqual([])
  })

  it('goes through its states', async () => {
    const store = new PlayedStore()
    const { take, clock, changes, counters } = guarded(store)
    // Up: five questions, late one after the other.
    for (let i = 0; i < 5; i++) {
      const late = take()
      await clock.advance(50)
      expect(await late).toMatchObject({ retryMs: 50, cause: new Error('no answer within 50 ms') })
      expect(store.asked).toHaveLength(i + 1)
    }
    // Down: the store is not asked.
    expect(changes).toEqual(['down: no answer within 50 ms'])
    expect(take()).toMatchObject({ retryMs: 50 })
    await clock.advance(49)
    expect(take()).toMatchObject({ retryMs: 1 })
    expect(store.asked).toHaveLength(5)
    // Probing: one call asks, the others do not wait for it.
    await clock.advance(1)
    const probe = take()
    expect(take()).toBeInstanceOf(StoreFailure)
    expect(store.asked).toHaveLength(6)
    store.asked[5]?.reject(new Error('still down'))
    expect(await probe).toMatchObject({ retryMs: 100, cause: new Error('still down') })
    expect(take()).toBeInstanceOf(StoreFailure)
    expect(store.asked).toHaveLength(6)
    // Up again.
    await clock.advance(100)
    const second = take()
    await clock.advance(7)
    store.asked[6]?.resolve(fine)
    expect(await second).toBe(fine)
    const third = take()
    store.asked[7]?.resolve(fine)
    expect(await third).toBe(fine)
    expect(changes).toEqual(['down: no answer within 50 ms', 'down: still down', 'up'])
    expect(clock.pending).toBe(0)
    expect(counters).toEqual({
      storeAnswers: 2,
      storeAnswersMs: 7,
      storeLate: 5,
      storeErrors: 1,
      remembered: 0,
      storeLeftAlone: 4,
    })
  })

  it.each<[string, number, number, boolean]>([
    ['64 calls that wait for one pause of 90 ms', 64, 0, false],
    ['4 in a row over a second', 4, 300, false],
    ['5 in a row over 196 ms', 5, 49, false],
    ['5 in a row over 200 ms', 5, 50, true],
  ])('failures, %s: down is not a matter of one event', async (_what, count, apartMs, down) => {
    const { take, clock, changes } = guarded({ take: () => Promise.reject(new Error('lost')) })
    for (let i = 0; i < count; i++) {
      await take()
      if (i < count - 1) await clock.advance(apartMs)
    }
    expect(changes).toEqual(down ? ['down: lost'] : [])
  })

  it('starts to count failures anew after an answer', async () => {
    let failing = true
    const { take, clock, changes } = guarded({ take: () => (failing ? Promise.reject(new Error('lost')) : fine) })
    const fails = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        await take()
        await clock.advance(100)
      }
    }
    await fails(4)
    failing = false
    expect(await take()).toBe(fine)
    failing = true
    await fails(4)
    expect(changes).toEqual([])
    await fails(1)
    expect(changes).toEqual(['down: lost'])
  })

  it('asks again soon after a blip, and ever less often in an outage', async () => {
    let answer: () => Decision = () => {
      throw new Error('lost')
    }
    const world = guarded({ take: () => answer() })
    const { take, clock } = world
    await goDown(world)
    const waits: unknown[] = []
    for (let probes = 0; probes < 7; probes++) {
      const { retryMs } = (await take()) as StoreFailure
      waits.push(retryMs)
      await clock.advance(retryMs)
      expect(await take()).toBeInstanceOf(StoreFailure)
    }
    expect(waits).toEqual([50, 100, 200, 400, 800, 1000, 1000])
    answer = () => fine
    await clock.advance(1000)
    expect(await take()).toBe(fine)
    answer = () => {
      throw new Error('lost again')
    }
    await goDown(world)
    expect(await take()).toMatchObject({ retryMs: 50 })
  })

  it('waits no longer than retryMs where that is short', async () => {
    const world = guarded({ take: () => Promise.reject(new Error('lost')) }, 20)
    await goDown(world)
    expect(await world.take()).toMatchObject({ retryMs: 20 })
  })

  it('tells of an outage again when its cause changes, and only then', async () => {
    const causes = [...Array.from({ length: 6 }, () => 'lost'), 'NOAUTH', 'NOAUTH', 'lost']
    const { take, clock, changes } = guarded({
      take: () => {
        const cause = causes.shift()
        if (cause === undefined) return fine
        throw new Error(cause)
      },
    })
    for (let asked = 0; asked < 10; asked++) {
      await take()
      await clock.advance(1000)
    }
    expect(changes).toEqual(['down: lost', 'down: NOAUTH', 'down: lost', 'up'])
  })

  it('takes an error about one key for no failure of the store', async () => {
    const wrongType = new Error('WRONGTYPE of k')
    const world = guarded({
      take: () => Promise.reject(wrongType),
      concernsKeyOnly: (error) => error === wrongType,
    })
    await goDown(world)
    await goDown(world)
    expect(world.changes).toEqual([])
    expect(await world.take()).toMatchObject({ retryMs: 50, cause: wrongType })
    expect(world.counters).toMatchObject({ storeErrors: 11, storeLeftAlone: 0 })
  })

  it('says of an answer that does not come what the store knows about it', async () => {
    const store = Object.assign(new PlayedStore(), { whyLate: () => 'WRONGPASS invalid username-password pair' })
    const { take, clock } = guarded(store)
    const answer = take()
    await clock.advance(50)
    expect(await answer).toMatchObject({
      cause: new Error('no answer within 50 ms: WRONGPASS invalid username-password pair'),
    })
  })

  it('does not listen to answers of calls from before the outage', async () => {
    const store = new PlayedStore()
    const world = guarded(store)
    const { take, clock, changes } = world
    const [one, two] = [take(), take()]
    await clock.advance(50)
    await Promise.all([one, two])
    for (let i = 0; i < 4; i++) {
      const late = take()
      await clock.advance(50)
      await late
    }
    expect(changes).toEqual(['down: no answer within 50 ms'])
    await clock.advance(1000)
    const probe = take()
    store.asked[0]?.reject(new Error('lost, too')) // late: its call has long been decided
    store.asked[1]?.resolve(fine)
    await settle()
    expect(take()).toBeInstanceOf(StoreFailure)
    store.asked[6]?.resolve(fine)
    expect(await probe).toBe(fine)
    expect(take()).toBeInstanceOf(Promise)
    expect(changes).toEqual(['down: no answer within 50 ms', 'up'])
    store.asked[7]?.resolve(fine)
  })

  it.each<[string, Limiter]>([
    [
      'throws',
      {
        take: () => {
          throw new Error('boom')
        },
      },
    ],
    // @ts-expect-error: no decision
    ['answers with nothing', { take: () => undefined }],
    // @ts-expect-error: no decision
    ['answers with no decision', { take: async () => ({ admitted: 'yes' }) }],
    ['answers about other limits', { take: () => ({ admitted: true, limits: [] }) }],
    ['rejects with nothing', { take: () => Promise.reject() }],
  ])('takes a store that %s for one that failed', async (_what, limiter) => {
    expect(await guarded(limiter).take()).toBeInstanceOf(StoreFailure)
  })
})

describe('a store of several parts', () => {
  /** Keys are `part/…`; a part is down, or not. */
  const parted = () => {
    const down = new Set<string>()
    const owners = new Map<string, string>()
    const partOf = ([key = '']: readonly (string | undefined)[]): string => {
      const part = key.split('/')[0] as string
      return owners.get(part) ?? part
    }
    const world = guarded({
      partitionOf: partOf,
      take: (keys) => (down.has(partOf(keys)) ? Promise.reject(new Error('lost')) : fine),
    })
    return { ...world, world, down, owners }
  }

  it('leaves the part alone that fails, and no other', async () => {
    const { world, take, down, changes, clock, health } = parted()
    down.add('a')
    await goDown(world, 'a/1')
    expect(changes).toEqual(['adown: lost'])
    expect(take('a/2')).toMatchObject({ retryMs: 50, cause: new Error('lost') })
    expect(take('b/1')).toBe(fine)
    await clock.advance(10)
    expect(health.state()).toEqual({
      up: false,
      partitions: [
        { name: 'a', up: false, forMs: 10, lastError: new Error('lost') },
        { name: 'b', up: true, forMs: 10, lastError: undefined },
      ],
    })
    down.delete('a')
    await clock.advance(50)
    expect(take('a/1')).toBe(fine)
    expect(changes).toEqual(['adown: lost', 'aup'])
    expect(health.state()).toMatchObject({ up: true, partitions: [{ name: 'a', lastError: new Error('lost') }, {}] })
  })

  it('asks at once for keys that another part has taken over, and forgets the one that is gone', async () => {
    const { world, take, down, owners, changes, clock, health } = parted()
    down.add('a')
    await goDown(world, 'a/1')
    owners.set('a', 'replica')
    expect(take('a/1')).toBe(fine)
    await clock.advance(1000)
    expect(take('b/1')).toBe(fine)
    expect(changes).toEqual(['adown: lost', 'aup'])
    expect(health.state()).toMatchObject({ up: true, partitions: [{ name: 'replica' }, { name: 'b' }] })
  })

  it('remembers a bounded number of parts', async () => {
    const { world, take, down, health, changes } = parted()
    down.add('a')
    await goDown(world, 'a/1')
    for (let i = 0; i < 1024; i++) take(`p${i}/1`)
    expect(health.state().partitions).toHaveLength(1024)
    expect(changes).toEqual(['adown: lost', 'aup'])
  })

  it('is one whole where it cannot tell', () => {
    const { take, health } = guarded({
      partitionOf: () => {
        throw new Error('not connected')
      },
      take: () => fine,
    })
    expect(take()).toBe(fine)
    expect(health.state()).toMatchObject({ up: true, partitions: [{ name: '' }] })
  })
})
