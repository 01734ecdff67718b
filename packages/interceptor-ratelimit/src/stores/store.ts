import type { Quota } from '../quota/gcra.ts'

/** A limit as a store sees it. */
export interface StoredLimit {
  /** Limits of the same name on one store share their counters. */
  readonly name: string
  readonly quota: Quota
  /** Whether its keys are those of the first limit of the decision, always. Tells a store what can live together. */
  readonly sameKeyAsFirst: boolean
}

/** What one limit of a decision has to say. */
export interface LimitState {
  /** Whole milliseconds until the cost asked for fits: 0 if it fits, `Infinity` if it never does. */
  readonly waitMs: number
  /** Calls of cost 1 that would be admitted after this decision. */
  readonly remaining: number
  /** Whole milliseconds until the whole burst is there again. */
  readonly resetMs: number
}

/** Admitted: every limit was charged. Refused: none was. */
export interface Decision {
  readonly admitted: boolean
  /** In the order of the limits; undefined for one that did not apply. */
  readonly limits: readonly (LimitState | undefined)[]
}

/** The counters of the limits of one `rateLimit()`. */
export interface Limiter {
  /**
   * Charges every limit or none.
   * @param keys whom to charge, in the order of the limits; undefined where a limit does not apply
   * @param costs how much, in calls; ≥ 0
   * @param withinMs after so many milliseconds nobody waits for the answer any more: a decision made later should charge nothing
   */
  take(keys: readonly (string | undefined)[], costs: readonly number[], withinMs?: number): Decision | Promise<Decision>
  /**
   * Which part of the store decides about these keys, such as a node of a Redis Cluster. A part that fails is left alone by
   * itself, the others are still asked. Default, and undefined: the store is one whole.
   */
  partitionOf?(keys: readonly (string | undefined)[]): string | undefined
  /** Whether an error of `take` is about its keys only and says nothing about the store. Default: none is. */
  concernsKeyOnly?(error: unknown): boolean
  /** Why an answer may not have come in time, if something is known: the last error of a connection. Without secrets. */
  whyLate?(keys: readonly (string | undefined)[]): string | undefined
}

/** One that never needs a promise. */
export interface SyncLimiter extends Limiter {
  take(keys: readonly (string | undefined)[], costs: readonly number[]): Decision
}

/**
 * Where counters live. `take` of a store in this process answers without a promise, and the RPC goes on without one.
 * A promise is waited for until `storeTimeoutMs`; a rejection, a throw and an answer that is no decision are errors of the
 * store, which `onStoreError` decides about.
 */
export interface Store {
  /**
   * Whether other processes count in it, too. Each has an insurance of its own, so `rateLimit()` then wants to be told the share
   * of each. Default: false.
   */
  readonly shared?: boolean
  /** Called once per `rateLimit()`, at construction. */
  open(limits: readonly StoredLimit[]): Limiter
}
