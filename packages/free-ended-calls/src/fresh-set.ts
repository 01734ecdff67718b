import { FreshMap } from './fresh-map.ts'

/** A set that keeps nothing of what was deleted from it; see `FreshMap`. */
export class FreshSet<T> implements Iterable<T> {
  readonly #members = new FreshMap<T, true>()

  constructor(members?: Iterable<T>) {
    for (const member of members ?? []) this.add(member)
  }

  get size(): number {
    return this.#members.size
  }

  has(member: T): boolean {
    return this.#members.has(member)
  }

  add(member: T): this {
    this.#members.set(member, true)
    return this
  }

  delete(member: T): boolean {
    return this.#members.delete(member)
  }

  clear(): void {
    this.#members.clear()
  }

  forEach(callback: (member: T, again: T, set: FreshSet<T>) => void, thisArg?: unknown): void {
    this.#members.forEach((_, member) => void callback.call(thisArg, member, member, this))
  }

  entries(): IterableIterator<[T, T]> {
    return [...this.#members.keys()].map((member): [T, T] => [member, member])[Symbol.iterator]()
  }

  keys(): IterableIterator<T> {
    return this.#members.keys()
  }

  values(): IterableIterator<T> {
    return this.#members.keys()
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.keys()
  }

  get [Symbol.toStringTag](): string {
    return 'Set'
  }
}
