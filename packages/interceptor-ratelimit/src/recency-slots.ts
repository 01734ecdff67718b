/** The keys of one limit. */
export interface Space {
  /** Slot by key, in parts: V8 rehashes a whole map at once, and one of 100 000 keys would take 15 ms. */
  readonly parts: (Map<string, number> | undefined)[]
}

const PARTS = 64
const FIRST_CAPACITY = 64
const NONE = -1

export function newSpace(): Space {
  return { parts: new Array<Map<string, number> | undefined>(PARTS).fill(undefined) }
}

/**
 * A bounded number of slots, each held by one key of one space, in the order of their last use. Every operation is
 * O(1). The slots are numbers: whoever keeps something per key keeps it in arrays, so that a key costs no object.
 */
export class RecencySlots {
  readonly #max: number
  // Nobody outside can guess which keys meet in one part.
  readonly #seed = (Math.random() * 2 ** 32) | 0
  #capacity = FIRST_CAPACITY
  #keys: string[] = []
  #maps: Map<string, number>[] = []
  /** Towards the least recent. */
  #older = new Int32Array(FIRST_CAPACITY)
  /** Towards the most recent. Of a free slot: the next free one. */
  #newer = new Int32Array(FIRST_CAPACITY)
  #newest = NONE
  #oldest = NONE
  #free = NONE
  #used = 0
  #size = 0

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#size >= this.#max
  }

  /** Slots are below this number. */
  get capacity(): number {
    return this.#capacity
  }

  /** The least recently used slot, or -1. */
  get oldest(): number {
    return this.#oldest
  }

  find(space: Space, key: string): number {
    return space.parts[this.#partOf(key)]?.get(key) ?? NONE
  }

  /** A new slot for a key that has none. There must be room. */
  insert(space: Space, key: string): number {
    const part = this.#partOf(key)
    space.parts[part] ??= new Map()
    const map = space.parts[part]
    const slot = this.#unused()
    const own = standalone(key)
    map.set(own, slot)
    this.#keys[slot] = own
    this.#maps[slot] = map
    this.#size++
    this.#link(slot)
    return slot
  }

  /** Makes it the most recently used. */
  touch(slot: number): void {
    if (slot === this.#newest) return
    this.#unlink(slot)
    this.#link(slot)
  }

  remove(slot: number): void {
    this.#maps[slot]?.delete(this.#keys[slot] as string)
    this.#keys[slot] = ''
    this.#unlink(slot)
    this.#newer[slot] = this.#free
    this.#free = slot
    this.#size--
  }

  #unused(): number {
    if (this.#free !== NONE) {
      const slot = this.#free
      this.#free = this.#newer[slot] as number
      return slot
    }
    if (this.#used === this.#capacity) {
      this.#capacity = Math.min(this.#max, this.#capacity * 2)
      this.#older = grown(this.#older, this.#capacity)
      this.#newer = grown(this.#newer, this.#capacity)
    }
    return this.#used++
  }

  #link(slot: number): void {
    this.#older[slot] = this.#newest
    this.#newer[slot] = NONE
    if (this.#newest !== NONE) this.#newer[this.#newest] = slot
    else this.#oldest = slot
    this.#newest = slot
  }

  #unlink(slot: number): void {
    const older = this.#older[slot] as number
    const newer = this.#newer[slot] as number
    if (older !== NONE) this.#newer[older] = newer
    else this.#oldest = newer
    if (newer !== NONE) this.#older[newer] = older
    else this.#newest = older
  }

  #partOf(key: string): number {
    // FNV-1a
    let hash = this.#seed
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
    return (hash ^ (hash >>> 16)) & (PARTS - 1)
  }
}

function grown(array: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity)
  larger.set(array)
  return larger
}

/** A copy that keeps nothing else alive: a piece of a long header would keep the whole header. */
function standalone(key: string): string {
  const copy = Buffer.from(key, 'latin1').toString('latin1')
  return copy === key ? copy : Buffer.from(key, 'utf16le').toString('utf16le')
}
