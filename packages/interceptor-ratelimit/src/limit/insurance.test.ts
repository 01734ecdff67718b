import { FakeClock } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../stores/store.ts'
import { Decider } from './decider.ts'
import { StoreFailure } from './guarded-limiter.ts'
import { rateLimit } from './rate-limit.ts'
import { type RateLimitOptions, resolveRateLimit } from './rate-limit-options.ts'
import { StoreHealth } from './store-health.ts'

/** One that several processes use, and that is down. */
const dead: Store = {
  shared: true,
  open: () => ({ take: () => Promise.reject(new Error('connect ECONNREFUSED')) }),
}

const PROCESSES = 4
const RATE = 20
const SECONDS = 10

/** How many calls of one caller several processes admit while their store is down, asked every 5 ms. */
async function admittedBy(share: Partial<RateLimitOptions>): Promise<number> {
  const clock = new FakeClock()
  const settings = resolveRateLimit({ rate: RATE, store: dead, onStoreError: 'insurance', clock, ...share })
  const deciders = Array.from({ length: PROCESSES }, () => {
    const health = new StoreHealth({ clock, retryMs: 1000, onDown: () => undefined, onUp: () => undefined })
    const counters = {
      insured: 0,
      leased: 0,
      storeAnswers: 0,
      storeAnswersMs: 0,
      storeLate: 0,
      storeErrors: 0,
      remembered: 0,
    }
    return new Decider(settings.limits, settings, { health, counters: { ...counters, storeLeftAlone: 0 } })
  })
  let admitted = 0
  for (let ms = 0; ms < SECONDS * 1000; ms += 5) {
    for (const decider of deciders) {
      const decision = await decider.decide(['k'], [1])
      if (!(decision instanceof StoreFailure) && decision.admitted) admitted++
    }
    clock.jump(5)
  }
  return admitted
}

describe('the insurance of several processes', () => {
  const limit = RATE + RATE * SECONDS
  const warnings: NodeJS.ErrnoException[] = []
  const hear = (warning: NodeJS.ErrnoException): void => void warnings.push(warning)
  beforeEach(() => {
    warnings.length = 0
    process.on('warning', hear)
  })
  afterEach(() => void process.off('warning', hear))
  /** Warnings are emitted in a later turn. */
  const said = async (): Promise<string[]> => {
    await new Promise((resolve) => setImmediate(resolve))
    return warnings.filter(({ code }) => code === 'GRPC_STACK_INSURANCE_SHARE').map(({ message }) => message)
  }

  it('admits once the limit by each of them at share 1', async () => {
    const admitted = await admittedBy({ insuranceShare: 1 })
    expect(admitted).toBeLessThanOrEqual(PROCESSES * limit)
    expect(admitted).toBeGreaterThan(PROCESSES * limit * 0.95)
  })

  it('admits the limit together at share 1/n', async () => {
    const admitted = await admittedBy({ insuranceShare: 1 / PROCESSES })
    expect(admitted).toBeLessThanOrEqual(limit)
    expect(admitted).toBeGreaterThan(limit * 0.95)
  })

  it('wants to be told the share, where other processes count in the store', async () => {
    rateLimit({ rate: 5, store: dead, onStoreError: 'insurance' })
    expect(await said()).toEqual([
      'rateLimit: while the store does not answer, each process grants the whole of "5/1000ms", so n processes grant n times ' +
        'that. Write insuranceShare: 1 / n, or insuranceShare: 1 if it is meant so',
    ])
  })

  it.each<[string, RateLimitOptions]>([
    ['the share is written', { rate: 5, store: dead, onStoreError: 'insurance', insuranceShare: 1 }],
    ['there is none', { rate: 5, store: dead }],
    ['the store is of one process', { rate: 5, store: { open: dead.open }, onStoreError: 'insurance' }],
  ])('says nothing where %s', async (_what, options) => {
    rateLimit(options)
    expect(await said()).toEqual([])
  })
})
