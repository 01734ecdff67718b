import { describe, expect, it } from 'vitest'
import { hedge, RetryBudget, retry } from './index.ts'

interface Row {
  readonly make: (options: object) => unknown
  /** Left out, these make no more attempts, and keep no more, than anything that could have been meant. */
  readonly asIfAbsent: readonly string[]
  /** Left out, these could make or keep more. */
  readonly refused: readonly string[]
}

const rows: Record<string, Row> = {
  retry: {
    make: retry,
    asIfAbsent: [
      'initialBackoffMs',
      'maxBackoffMs',
      'backoffMultiplier',
      'jitter',
      'perAttemptTimeoutMs',
      'idempotent',
      'backoff',
      'retryRefusals',
      'commit',
      'onRetry',
      'onGiveUp',
      'clock',
      'random',
    ],
    refused: [
      'maxAttempts',
      'retryableStatusCodes',
      'retryIf',
      'budget',
      'maxPushbackMs',
      'maxReplayBytes',
      'maxReplayMessages',
      'serviceConfig',
    ],
  },
  'retry.perCall': {
    make: (options) => retry.perCall(options),
    asIfAbsent: ['perAttemptTimeoutMs'],
    refused: ['maxAttempts', 'retryableStatusCodes', 'idempotent'],
  },
  hedge: {
    make: (options) => hedge({ idempotent: '*', delayMs: 1, ...options }),
    asIfAbsent: ['onHedge', 'clock'],
    refused: ['delayMs', 'idempotent', 'maxAttempts', 'nonFatalStatusCodes', 'budget', 'serviceConfig'],
  },
  RetryBudget: {
    make: (options) => new RetryBudget(options),
    asIfAbsent: ['clock'],
    refused: ['ratio', 'minRetriesPerSecond', 'windowMs', 'maxBufferedBytes'],
  },
}

/** The options a factory knows, from its error for an unknown one. */
function known(make: Row['make']): readonly string[] {
  try {
    make({ nothing: 1 })
  } catch (error) {
    return (/ known are (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? []).toSorted()
  }
  return []
}

describe.each(Object.entries(rows))('an option of %s that is written out and undefined', (where, row) => {
  const { make, asIfAbsent, refused } = row

  it.each(asIfAbsent.map((name) => [name]))('%s: is as if it were left out', (name) => {
    expect(() => make({ [name]: undefined })).not.toThrow()
  })

  it.each(refused.map((name) => [name]))('%s: is refused', (name) => {
    expect(() => make({ [name]: undefined })).toThrow(TypeError)
    expect(() => make({ [name]: undefined })).toThrow(`${where}: option "${name}"`)
  })

  it('is decided about, whichever it is', () => {
    expect(known(make)).toEqual([...asIfAbsent, ...refused].toSorted())
  })
})
