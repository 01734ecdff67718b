import { LruMap, type MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Decision, LimitState } from '../stores/store.ts'

interface Remembered {
  readonly costs: readonly number[]
  readonly limits: Decision['limits']
  readonly atMs: number
  readonly untilMs: number
}

const MAX_REMEMBERED = 10_000
/** After so long a store is asked all the same: an operator may have reset what a caller owes. */
const LONGEST_MS = 1000

/**
 * Callers that a store has refused, until the time it named: a debt only leaks, so until then a call that costs as much is
 * refused again, and need not be asked about.
 */
export class RefusalMemory {
  readonly #refusals = new LruMap<string, Remembered>(MAX_REMEMBERED)

  /** @param atMs when the store was asked, or earlier than it decided */
  remember(keys: readonly (string | undefined)[], costs: readonly number[], { limits }: Decision, atMs: number): void {
    const waitMs = limits.reduce((longest, state) => Math.max(longest, state?.waitMs ?? 0), 0)
    // Waits are rounded up to the millisecond.
    const forMs = Math.min(waitMs - 1, LONGEST_MS)
    if (forMs > 0) this.#refusals.set(idOf(keys), { costs, limits, atMs, untilMs: atMs + forMs })
  }

  recall(keys: readonly (string | undefined)[], costs: readonly number[], clock: MonotonicClock): Decision | undefined {
    if (this.#refusals.size === 0) return undefined
    const id = idOf(keys)
    const known = this.#refusals.get(id)
    if (known === undefined) return undefined
    const nowMs = clock.now()
    if (nowMs >= known.untilMs) {
      this.#refusals.delete(id)
      return undefined
    }
    if (costs.some((cost, i) => cost < (known.costs[i] as number))) return undefined
    const pastMs = Math.floor(nowMs - known.atMs)
    return { admitted: false, limits: known.limits.map((state) => state && later(state, pastMs)) }
  }
}

function later({ waitMs, remaining, resetMs }: LimitState, pastMs: number): LimitState {
  return { waitMs: Math.max(0, waitMs - pastMs), remaining, resetMs: Math.max(0, resetMs - pastMs) }
}

/** No two lists of keys have the same. */
export function idOf(keys: readonly (string | undefined)[]): string {
  const [only] = keys
  return keys.length === 1 && only !== undefined ? only : JSON.stringify(keys)
}
