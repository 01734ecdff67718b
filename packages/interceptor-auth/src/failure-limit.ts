import type { ServerCall } from '@grpc-stack/grpc-core'
import type { Clock } from './clock.ts'
import { LruMap } from './lru-map.ts'

/** Options of the bound on guessing. */
export interface FailureLimitOptions {
  /** How many refused credentials a peer may have within `perMs`. */
  readonly max: number
  /** The window in milliseconds. Default: 60 000. It begins with the first failure. */
  readonly perMs?: number
  /** Whose failures count together. Default: the address of the peer, without the port. */
  readonly key?: (call: ServerCall) => string
  /** How many keys are remembered; the one unused for longest makes room. Default: 10 000. */
  readonly maxKeys?: number
}

interface Window {
  readonly from: number
  failures: number
}

/** Counts refused credentials per key in a window. */
export class FailureLimit {
  readonly #max: number
  readonly #perMs: number
  readonly #key: (call: ServerCall) => string
  readonly #windows: LruMap<string, Window>
  readonly #clock: Clock

  constructor(options: FailureLimitOptions, clock: Clock) {
    this.#max = options.max
    this.#perMs = options.perMs ?? 60_000
    this.#key = options.key ?? addressOf
    this.#windows = new LruMap(options.maxKeys ?? 10_000)
    this.#clock = clock
  }

  /** Whether the call's peer may still have a credential verified. */
  readonly admits = (call: ServerCall): boolean => (this.#window(this.#key(call))?.failures ?? 0) < this.#max

  failed(call: ServerCall): void {
    const key = this.#key(call)
    const window = this.#window(key)
    if (window === undefined) this.#windows.set(key, { from: this.#clock.now(), failures: 1 })
    else window.failures++
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

function addressOf(call: ServerCall): string {
  return call.peer().replace(/:\d+$/, '')
}
