import type { ServerCall } from '@grpc-stack/grpc-core'
import { inThisContext, LruMap, type WallClock } from '@grpc-stack/grpc-core/authoring'
import { textAtOnce } from '../at-once.ts'
import { Attempt } from './attempt.ts'

/** Options of the bound on guessing. */
export interface FailureLimitOptions {
  /** How many credentials of a peer may be refused within `perMs`. A call that brings several counts each of them. */
  readonly max: number
  /** The window in milliseconds. Default: 60 000. It begins with the first failure. */
  readonly perMs?: number
  /** Whose failures count together. Default: the address of the peer without the port, of an IPv6 address the /64. */
  readonly key?: (call: ServerCall) => string
  /**
   * How many keys are remembered, and how many credentials that were valid; the one unused for longest makes room. Default:
   * 10 000.
   */
  readonly maxKeys?: number
}

interface Window {
  readonly from: number
  failures: number
}

/**
 * Counts refused credentials per key in a window. What is being verified counts as if it had failed already, so that no more
 * than `max` are ever verified, however many come at once:
 *
 *     failures               failures + attempts    a credential that was valid before    any other
 *     < max                  < max                  is an attempt that takes no room      is an attempt
 *     < max                  ≥ max                  the same                              waits for an attempt to settle
 *     ≥ max                  any                    the same                              is refused
 */
export class FailureLimit {
  readonly #max: number
  readonly #perMs: number
  readonly #key: (call: ServerCall) => string
  readonly #windows: LruMap<string, Window>
  readonly #valid: LruMap<string, true>
  readonly #attempts = new Map<string, number>()
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #clock: WallClock

  constructor(options: Required<FailureLimitOptions>, clock: WallClock) {
    this.#max = options.max
    this.#perMs = options.perMs
    this.#key = options.key
    this.#windows = new LruMap(options.maxKeys)
    this.#valid = new LruMap(options.maxKeys)
    this.#clock = clock
  }

  /** @throws TypeError for anything but a text: with a promise as the key, no two failures would count together. */
  keyOf(call: ServerCall): string {
    return textAtOnce(this.#key(call), 'serverAuth: option "failureLimit.key"')
  }

  /** What a credential, by its digest, is for this key. */
  enter(key: string, digest: string): Attempt | 'limited' | 'full' {
    const pair = `${digest} ${key}`
    const valid = this.#valid.get(pair) === true
    if (!valid && this.#failures(key) >= this.#max) return 'limited'
    if (!valid && this.#isFull(key)) return 'full'
    if (!valid) this.#attempts.set(key, (this.#attempts.get(key) ?? 0) + 1)
    return new Attempt((result) => {
      if (result === 'valid') this.#valid.set(pair, true)
      else if (result === 'refused') this.#valid.delete(pair)
      // One that was valid before is no guess while the verifier that knows it is down; any other is.
      if (result === 'refused' || (result === 'doubtful' && !valid)) this.failed(key)
      if (!valid) this.#leave(key)
    })
  }

  /** After `full`: calls back once, in its own context, when `enter` says something else. Returns what gives it up. */
  wait(key: string, wake: () => void): () => void {
    const own = inThisContext(wake)
    const waiting = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiting.add(own))
    return () => {
      if (waiting.delete(own) && waiting.size === 0) this.#waiting.delete(key)
    }
  }

  failed(key: string): void {
    const window = this.#window(key)
    if (window === undefined) this.#windows.set(key, { from: this.#clock.now(), failures: 1 })
    else window.failures++
  }

  #leave(key: string): void {
    const left = (this.#attempts.get(key) ?? 1) - 1
    if (left === 0) this.#attempts.delete(key)
    else this.#attempts.set(key, left)
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return
    for (const wake of waiting) {
      if (this.#isFull(key)) return
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
      wake()
    }
  }

  /** Whether the next one has to wait until it is known how those before it end. */
  #isFull(key: string): boolean {
    const failures = this.#failures(key)
    return failures < this.#max && failures + (this.#attempts.get(key) ?? 0) >= this.#max
  }

  #failures(key: string): number {
    return this.#window(key)?.failures ?? 0
  }

  #window(key: string): Window | undefined {
    const window = this.#windows.get(key)
    if (window === undefined) return undefined
    const age = this.#clock.now() - window.from
    if (age >= 0 && age < this.#perMs) return window
    this.#windows.delete(key)
    return undefined
  }
}
