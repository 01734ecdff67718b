/** The keys of one limit. */
export interface Space {
  /** Slot by key, in parts: V8 rehashes a whole map at once, and one of 100 000 keys would take 15 ms. */
  readonly parts: (Map<string, number> | undefined)[]
}

const PARTS = 64
const FIRST_CAPACITY = 64
/** Up to here, less than a megabyte, growing is better than forgetting a key that comes back. */
const FREE_GROWTH = 8192
/** Shorter strings are never pieces of others (V8: SlicedString::kMinLength). */
const SHORTEST_PIECE = 13
const NONE = -1

export function newSpace(): Space {
  return { parts: new Array<Map<string, number> | undefined>(PARTS).fill(undefined) }
}

/**
 * A bounded number of slots, each held by one key of one space. The slots are numbers: what is kept per
 * key is kept in arrays, so that a key costs no object. Every operation is O(1).
 *
 * Which key goes when there are too many is decided by a hand that goes round the slots (CLOCK, the second-chance
 * approximation of least recently used): a use marks a slot, the hand takes the mark, and a slot it finds without one
 * was not used for a whole round.
 */
export class KeySlots {
  readonly #max: number
  // Secret, so that a caller cannot choose keys that all meet in one part.
  readonly #seed = (Math.random() * 2 ** 32) | 0
  #capacity: number
  readonly #keys: string[] = []
  readonly #spaces: (Space | undefined)[] = []
  #marked = new Uint8Array(FIRST_CAPACITY)
  readonly #free: number[] = []
  #hand = 0
  #size = 0

  constructor(max: number) {
    this.#max = max
    this.#capacity = Math.min(max, FIRST_CAPACITY)
  }

  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#size >= this.#max
  }

  /** Whether another key can have a slot at no cost worth mentioning. */
  get hasSpare(): boolean {
    if (this.#free.length > 0 || this.#keys.length < this.#capacity) return true
    return this.#capacity < Math.min(FREE_GROWTH, this.#max)
  }

  /** Slots are below this number. */
  get capacity(): number {
    return this.#capacity
  }

  /** The slot of a key, marked as used, or -1. */
  use(space: Space, key: string): number {
    const slot = space.parts[this.#partOf(key)]?.get(key) ?? NONE
    if (slot !== NONE) this.#marked[slot] = 1
    return slot
  }

  /** A new slot for a key that has none. There must be room. */
  insert(space: Space, key: string): number {
    const part = this.#partOf(key)
    space.parts[part] ??= new Map()
    const slot = this.#free.pop() ?? this.#unused()
    const own = standalone(key)
    space.parts[part].set(own, slot)
    this.#keys[slot] = own
    this.#spaces[slot] = space
    this.#marked[slot] = 0
    this.#size++
    return slot
  }

  remove(slot: number): void {
    const key = this.#keys[slot] as string
    this.#spaces[slot]?.parts[this.#partOf(key)]?.delete(key)
    this.#spaces[slot] = undefined
    this.#keys[slot] = ''
    this.#free.push(slot)
    this.#size--
  }

  /** Moves the hand to the next slot and returns the slot it was at, or -1 if that one is free. */
  pass(): number {
    const slot = this.#hand
    this.#hand = slot + 1 < this.#keys.length ? slot + 1 : 0
    return this.#spaces[slot] === undefined ? NONE : slot
  }

  /** Takes the mark, and tells whether there was one. */
  unmark(slot: number): boolean {
    const marked = this.#marked[slot] === 1
    this.#marked[slot] = 0
    return marked
  }

  #unused(): number {
    if (this.#keys.length === this.#capacity) {
      this.#capacity = Math.min(this.#max, this.#capacity * 2)
      const marked = new Uint8Array(this.#capacity)
      marked.set(this.#marked)
      this.#marked = marked
    }
    return this.#keys.length
  }

  #partOf(key: string): number {
    // FNV-1a
    let hash = this.#seed
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
    return (hash ^ (hash >>> 16)) & (PARTS - 1)
  }
}

/** A copy that keeps nothing else alive: a piece of a long header would keep the whole header. */
function standalone(key: string): string {
  if (key.length < SHORTEST_PIECE) return key
  const copy = Buffer.from(key, 'latin1').toString('latin1')
  return copy === key ? copy : Buffer.from(key, 'utf16le').toString('utf16le')
}
