import { status as Code } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { decide, type Failure, isServerTrouble, type Policy } from './decision.ts'

const policy: Policy = {
  maxAttempts: 3,
  initialBackoffMs: 100,
  maxBackoffMs: 1000,
  backoffMultiplier: 2,
  jitter: 'none',
  retryableStatusCodes: new Set([Code.UNAVAILABLE]),
  idempotent: false,
  maxPushbackMs: 2 ** 31 - 1,
}

const failure: Failure = {
  code: Code.UNAVAILABLE,
  attempts: 1,
  streak: 0,
  timedOut: false,
  refused: false,
  committed: false,
  pushback: undefined,
  retryInfoMs: undefined,
  leftMs: Number.POSITIVE_INFINITY,
  asked: undefined,
  ownBackoffMs: undefined,
}

const EXHAUSTED = { code: Code.RESOURCE_EXHAUSTED }
const TIMED_OUT = { code: Code.DEADLINE_EXCEEDED, timedOut: true }

/** `after 100`, `after 100, pushed back`, or why not. */
function verdict(change: Partial<Failure>, policyChange: Partial<Policy> = {}, affordable = true): string {
  const decision = decide(
    { ...policy, ...policyChange },
    { ...failure, ...change },
    () => 0.5,
    () => affordable,
  )
  if (!decision.retry) return decision.reason
  return `after ${decision.delayMs}${decision.pushedBack ? ', pushed back' : ''}`
}

describe('decide', () => {
  it.each<[string, Partial<Failure>, string, Partial<Policy>?]>([
    ['a retryable status', {}, 'after 100'],
    ['the next one in a row', { attempts: 2, streak: 1 }, 'after 200'],
    ['after a pushback, whatever the number of attempts', { attempts: 2, streak: 0 }, 'after 100'],
    ['another status', { code: Code.INTERNAL }, 'status'],
    ['the last attempt', { attempts: 3, streak: 2 }, 'attempts'],
    ['a committed call', { committed: true }, 'committed'],
    ['another status of a committed call', { code: Code.ABORTED, committed: true }, 'status'],
    ['a refusal', { refused: true }, 'refused'],
    ['full jitter', {}, 'after 50', { jitter: 'full' }],

    ['pushback', { pushback: 30 }, 'after 30, pushed back'],
    ['pushback of zero', { pushback: 0 }, 'after 0, pushed back'],
    ['pushback is exact, without jitter', { pushback: 30 }, 'after 30, pushed back', { jitter: 'full' }],
    ['pushback of 76 minutes', { pushback: 4_567_000 }, 'after 4567000, pushed back'],
    ['pushback on the last attempt', { pushback: 30, attempts: 3 }, 'attempts'],
    ['pushback to stop', { pushback: 'stop' }, 'pushback'],
    ['pushback to stop on the last attempt', { pushback: 'stop', attempts: 3 }, 'pushback'],
    ['pushback on a status that is not retryable', { code: Code.INTERNAL, pushback: 30 }, 'status'],
    ['pushback to stop on a status that is not retryable', { code: Code.INTERNAL, pushback: 'stop' }, 'status'],
    ['pushback as long as allowed', { pushback: 30 }, 'after 30, pushed back', { maxPushbackMs: 30 }],
    ['pushback longer than allowed', { pushback: 30 }, 'pushback', { maxPushbackMs: 29 }],

    ['exhaustion', EXHAUSTED, 'status'],
    ['exhaustion with pushback', { ...EXHAUSTED, pushback: 30 }, 'after 30, pushed back'],
    ['exhaustion with pushback to stop', { ...EXHAUSTED, pushback: 'stop' }, 'status'],
    ['exhaustion with RetryInfo', { ...EXHAUSTED, retryInfoMs: 700 }, 'after 700'],
    ['exhaustion that is listed', EXHAUSTED, 'after 100', { retryableStatusCodes: new Set([Code.RESOURCE_EXHAUSTED]) }],
    ['RetryInfo below the backoff', { retryInfoMs: 7 }, 'after 100'],
    ['RetryInfo above the backoff', { retryInfoMs: 700 }, 'after 700'],
    ['RetryInfo and pushback', { retryInfoMs: 700, pushback: 30 }, 'after 30, pushed back'],
    ['RetryInfo of an age', { retryInfoMs: 315_576_000_000_000 }, 'pushback'],

    ['an attempt out of time', TIMED_OUT, 'status'],
    ['an attempt out of time, idempotent', TIMED_OUT, 'after 100', { idempotent: true }],
    [
      'a deadline that is not the attempt’s, idempotent',
      { ...TIMED_OUT, timedOut: false },
      'status',
      { idempotent: true },
    ],

    ['a wait that fits', { leftMs: 101 }, 'after 100'],
    ['a wait that ends at the deadline', { leftMs: 100 }, 'deadline'],
    ['no wait, no time', { leftMs: 0, pushback: 0 }, 'deadline'],
    ['a pushback beyond the deadline', { leftMs: 1000, pushback: 1000 }, 'deadline'],

    ['the caller says yes', { code: Code.INTERNAL, asked: true }, 'after 100'],
    ['the caller says no', { asked: false }, 'status'],
    ['the caller says yes, the server no', { asked: true, pushback: 'stop' }, 'pushback'],
    ['the caller says yes to a refusal', { asked: true, refused: true }, 'refused'],
    ['a wait of the caller’s own', { ownBackoffMs: () => 5 }, 'after 5'],
    ['a wait of the caller’s own and RetryInfo', { ownBackoffMs: () => 5, retryInfoMs: 9 }, 'after 9'],
  ])('%s: %o → %s', (_what, change, expected, policyChange) => {
    expect(verdict(change, policyChange)).toBe(expected)
  })

  it('spends budget last, only on what would be retried', () => {
    expect(verdict({}, {}, false)).toBe('budget')
    let spent = 0
    const spend = () => {
      spent++
      return true
    }
    for (const change of [
      { code: Code.INTERNAL },
      { attempts: 3 },
      { committed: true },
      { leftMs: 5 },
      { pushback: 'stop' as const },
    ]) {
      decide(policy, { ...failure, ...change }, Math.random, spend)
    }
    expect(spent).toBe(0)
    decide(policy, failure, Math.random, spend)
    expect(spent).toBe(1)
  })
})

describe('a wait of the caller’s own', () => {
  function asked(change: Partial<Failure>, affordable = true): number {
    let count = 0
    const ownBackoffMs = () => ++count
    decide(policy, { ...failure, ...change, ownBackoffMs }, Math.random, () => affordable)
    return count
  }

  it.each<[string, Partial<Failure>, boolean?]>([
    ['another status', { code: Code.INTERNAL }],
    ['a refusal', { refused: true }],
    ['the caller says no', { asked: false }],
    ['the last attempt', { attempts: 3 }],
    ['a committed call', { committed: true }],
    ['pushback to stop', { pushback: 'stop' }],
    ['pushback, which wins', { pushback: 30 }],
    ['no time left', { leftMs: 0 }],
    ['RetryInfo beyond the deadline', { leftMs: 100, retryInfoMs: 100 }],
    ['no budget', {}, false],
  ])('is not asked for without a retry to wait for: %s', (_what, change, affordable) => {
    expect(asked(change, affordable)).toBe(0)
  })

  it('is asked for once for each retry', () => {
    expect(asked({})).toBe(1)
  })

  it('that does not fit before the deadline ends the call', () => {
    const decision = decide(policy, { ...failure, ownBackoffMs: () => 100, leftMs: 100 }, Math.random, () => true)
    expect(decision).toEqual({ retry: false, reason: 'deadline' })
  })
})

describe('isServerTrouble', () => {
  it.each<[string, Partial<Failure>, boolean]>([
    ['throttledStream_FailWithRetriableStatusCode_WithoutPushback', {}, true],
    ['throttledStream_FailWithNonRetriableStatusCode_WithoutPushback', { code: Code.INTERNAL }, false],
    ['throttledStream_FailWithRetriableStatusCode_WithRetriablePushback', { pushback: 30 }, true],
    // gRFC A6 leaves open whether pushback makes any status retryable. Here, as in grpc-go and grpc-js, it does not.
    [
      'throttledStream_FailWithNonRetriableStatusCode_WithRetriablePushback',
      { code: Code.INTERNAL, pushback: 30 },
      false,
    ],
    ['throttledStream_FailWithRetriableStatusCode_WithNonRetriablePushback', { pushback: 'stop' }, true],
    [
      'throttledStream_FailWithNonRetriableStatusCode_WithNonRetriablePushback',
      { code: Code.INTERNAL, pushback: 'stop' },
      true,
    ],
    ['a refusal of this process', { refused: true, pushback: 'stop' }, false],
  ])('%s', (_what, change, trouble) => {
    expect(isServerTrouble(policy, { ...failure, ...change })).toBe(trouble)
  })
})
