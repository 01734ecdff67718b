import { FakeClock, settle } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Decision, Limiter } from '../stores/store.ts'
import { GuardedLimiter, StoreFailure } from './guarded-limiter.ts'

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

function guarded(limiter: Limiter) {
  const clock = new FakeClock()
  const changes: string[] = []
  const guard = new GuardedLimiter(limiter, {
    timeoutMs: 50,
    retryMs: 1000,
    clock,
    onChange: (up, error) => changes.push(up ? 'up' : `down: ${(error as Error | undefined)?.message}`),
  })
  return { clock, changes, take: () => guard.take(['k'], [1]) }
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
    const { take, clock, changes } = guarded(store)
    const late = take()
    const alsoLate = take()
    await clock.advance(50)
    expect(await late).toMatchObject({ retryMs: 50, cause: new Error('no answer within 50 ms') })
    expect(await alsoLate).toBeInstanceOf(StoreFailure)
    // Down: the store is not asked.
    expect(take()).toMatchObject({ retryMs: 50 })
    await clock.advance(49)
    expect(take()).toMatchObject({ retryMs: 1 })
    expect(store.asked).toHaveLength(2)
    // Probing: one call asks, the others do not wait for it.
    await clock.advance(1)
    const probe = take()
    expect(take()).toBeInstanceOf(StoreFailure)
    expect(store.asked).toHaveLength(3)
    store.asked[2]?.reject(new Error('still down'))
    expect(await probe).toMatchObject({ retryMs: 100, cause: new Error('still down') })
    expect(take()).toBeInstanceOf(StoreFailure)
    expect(store.asked).toHaveLength(3)
    // Up again.
    await clock.advance(100)
    const second = take()
    store.asked[3]?.resolve(fine)
    expect(await second).toBe(fine)
    const third = take()
    store.asked[4]?.resolve(fine)
    expect(await third).toBe(fine)
    expect(changes).toEqual(['down: no answer within 50 ms', 'down: still down', 'up'])
    expect(clock.pending).toBe(0)
  })

  it('asks again soon after a blip, and ever less often in an outage', async () => {
    let answer: () => Decision = () => {
      throw new Error('lost')
    }
    const { take, clock } = guarded({ take: () => answer() })
    const waits: unknown[] = []
    for (let probes = 0; probes < 7; probes++) {
      const { retryMs } = (await take()) as StoreFailure
      waits.push(retryMs)
      await clock.advance(retryMs)
    }
    expect(waits).toEqual([50, 100, 200, 400, 800, 1000, 1000])
    answer = () => fine
    expect(await take()).toBe(fine)
    answer = () => {
      throw new Error('lost again')
    }
    expect(await take()).toMatchObject({ retryMs: 50 })
  })

  it('waits no longer than retryMs where that is short', () => {
    const clock = new FakeClock()
    const guard = new GuardedLimiter(
      { take: () => Promise.reject(new Error('lost')) },
      { timeoutMs: 50, retryMs: 20, clock, onChange: () => undefined },
    )
    return expect(guard.take(['k'], [1])).resolves.toMatchObject({ retryMs: 20 })
  })

  it('tells of an outage again when its cause changes, and only then', async () => {
    const causes = ['lost', 'lost', 'NOAUTH', 'NOAUTH', 'lost']
    const { take, clock, changes } = guarded({
      take: () => {
        const cause = causes.shift()
        if (cause === undefined) return fine
        throw new Error(cause)
      },
    })
    for (let asked = 0; asked < 6; asked++) {
      await take()
      await clock.advance(1000)
    }
    expect(changes).toEqual(['down: lost', 'down: NOAUTH', 'down: lost', 'up'])
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
    const { take, clock, changes } = guarded(store)
    const [one, two, three] = [take(), take(), take()]
    store.asked[0]?.reject(new Error('lost'))
    await one
    await clock.advance(1000)
    await Promise.all([two, three])
    const probe = take()
    store.asked[1]?.reject(new Error('lost, too')) // late: its call has long been decided
    store.asked[2]?.resolve(fine)
    await settle()
    store.asked[3]?.resolve(fine)
    expect(await probe).toBe(fine)
    expect(take()).toBeInstanceOf(Promise)
    expect(changes).toEqual(['down: lost', 'up'])
    store.asked[4]?.resolve(fine)
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
