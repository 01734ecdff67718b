/**
 * A map whose entries move to a new table after about as many deletions as it has entries.
 *
 * V8's own, when it grows or is full of deleted entries, makes a new table too, but the one that is left leads to it. Once one
 * of them has become old, each that follows is kept alive by it until a full collection, with all that stood in it at that
 * time. A table that begins anew has no predecessor.
 */
export class FreshMap<K, V> implements Map<K, V> {
  #entries: Map<K, V>
  #deletions = 0
  /** Iterations under way: they see what changes meanwhile, as those of a `Map` do, so the table must stay. */
  #iterations = 0

  constructor(entries?: Iterable<readonly [K, V]>) {
    this.#entries = new Map(entries)
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  set(key: K, value: V): this {
    this.#entries.set(key, value)
    return this
  }

  delete(key: K): boolean {
    const deleted = this.#entries.delete(key)
    if (deleted && ++this.#deletions >= FEWEST_DELETIONS) this.#renewWhenDue()
    return deleted
  }

  clear(): void {
    this.#entries.clear()
  }

  forEach(callback: (value: V, key: K, map: Map<K, V>) => void, thisArg?: unknown): void {
    this.#iterations++
    try {
      this.#entries.forEach((value, key) => void callback.call(thisArg, value, key, this))
    } finally {
      this.#iterations--
    }
  }

  entries(): MapIterator<[K, V]> {
    return this.#iterate(this.#entries.entries())
  }

  keys(): MapIterator<K> {
    return this.#iterate(this.#entries.keys())
  }

  values(): MapIterator<V> {
    return this.#iterate(this.#entries.values())
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  get [Symbol.toStringTag](): string {
    return 'Map'
  }

  *#iterate<T>(iterator: MapIterator<T>): MapIterator<T> {
    this.#iterations++
    try {
      yield* iterator
    } finally {
      this.#iterations--
    }
  }

  /** Moving n entries after n deletions keeps the work per deletion constant, whatever the size. */
  #renewWhenDue(): void {
    if (this.#iterations > 0 || this.#deletions < this.#entries.size) return
    this.#entries = new Map(this.#entries)
    this.#deletions = 0
  }
}

const FEWEST_DELETIONS = 32
