/**
 * At most `max` items that wait, each under a key, served in turn: one of each key. One key alone may fill it; when it is
 * full, the key with the most items loses its newest to a key with fewer, so that no key keeps the others out.
 */
export class FairQueue<T> {
  readonly #max: number
  readonly #evicted: (item: T) => void
  // In the order in which the keys have their turn.
  readonly #keys = new Map<string, Set<T>>()
  #size = 0

  constructor(max: number, evicted: (item: T) => void) {
    this.#max = max
    this.#evicted = evicted
  }

  get size(): number {
    return this.#size
  }

  /** False if there is no room. */
  add(key: string, item: T): boolean {
    const full = this.#size >= this.#max
    const longest = full ? this.#longerThan((this.#keys.get(key)?.size ?? 0) + 1) : undefined
    if (full && longest === undefined) return false
    const items = this.#keys.get(key) ?? new Set()
    this.#keys.set(key, items.add(item))
    this.#size++
    if (longest !== undefined) this.#evictFrom(longest)
    return true
  }

  delete(key: string, item: T): void {
    const items = this.#keys.get(key)
    if (!items?.delete(item)) return
    this.#size--
    if (items.size === 0) this.#keys.delete(key)
  }

  /** Takes out the oldest item of the first key that `may` be served, whose next turn is after all the others'. */
  shift(may: (key: string) => boolean): { readonly key: string; readonly item: T } | undefined {
    for (const [key, items] of this.#keys) {
      if (!may(key)) continue
      for (const item of items) {
        this.#keys.delete(key)
        this.#keys.set(key, items)
        this.delete(key, item)
        return { key, item }
      }
    }
    return undefined
  }

  #longerThan(length: number): string | undefined {
    let [longest, most]: [string | undefined, number] = [undefined, length]
    for (const [key, { size }] of this.#keys) if (size > most) [longest, most] = [key, size]
    return longest
  }

  #evictFrom(key: string): void {
    const newest = [...(this.#keys.get(key) ?? [])].at(-1)
    if (newest === undefined) return
    this.delete(key, newest)
    this.#evicted(newest)
  }
}
