import type { MethodInfo } from '@grpc-stack/grpc-core'
import type { AnswerTimes } from './answer-times.ts'
import type { Circuit } from './circuit.ts'

/** A circuit and what its key is. */
export interface Entry {
  readonly key: string
  readonly circuit: Circuit
  /** How long its methods usually take. Kept when the circuit opens, so that probes can be judged. */
  readonly times: WeakMap<MethodInfo, AnswerTimes>
  /** Used again since the last look for something to drop. */
  used: boolean
  /** Not to be dropped, this many times. */
  pinned: number
  dropped: boolean
}

/**
 * Circuits by key, bounded: a caller who can choose keys must not be able to fill the memory. What was not used for longest
 * goes first, by the second-chance rule, which costs a flag per call.
 */
export class Circuits {
  readonly #entries = new Map<string, Entry>()
  readonly #maxKeys: number
  readonly #make: (key: string) => Circuit

  constructor(maxKeys: number, make: (key: string) => Circuit) {
    this.#maxKeys = maxKeys
    this.#make = make
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  obtain(key: string): Entry {
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.used = true
      return known
    }
    if (this.#entries.size >= this.#maxKeys) this.#dropOne()
    // Not used again yet: of keys that come once, none pushes out one that comes often.
    const entry = { key, circuit: this.#make(key), times: new WeakMap(), used: false, pinned: 0, dropped: false }
    this.#entries.set(key, entry)
    return entry
  }

  all(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  #dropOne(): void {
    let chances = 2 * this.#entries.size
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key)
      if (entry.pinned === 0 && !entry.used) {
        entry.dropped = true
        return
      }
      entry.used = false
      this.#entries.set(key, entry) // to the end; iteration comes by again
      if (--chances === 0) return
    }
  }
}
