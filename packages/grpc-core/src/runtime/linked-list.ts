/** The members that an item of a list must have. */
export interface Linked<T> {
  /** Its neighbours. Only the list may set them. */
  before: T | undefined
  behind: T | undefined
}

/**
 * Things that belong to calls in progress, in the order in which they came, as links from one to the next.
 *
 * A Set would do but for garbage collection. A Set that is added to and deleted from replaces its table again and again, and
 * each replaced table refers to its successor: once an old one is promoted, all later ones survive every minor collection, and
 * with them everything that was ever in one (V8's OrderedHashTable::Rehash). Removing an item of this list leaves no reference.
 */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined
  #last: T | undefined

  get isEmpty(): boolean {
    return this.#first === undefined
  }

  add(item: T): void {
    const last = this.#last
    if (last === undefined) this.#first = item
    else last.behind = item
    item.before = last
    this.#last = item
  }

  /** Returns whether it was in the list. */
  remove(item: T): boolean {
    const { before, behind } = item
    if (before === undefined && this.#first !== item) return false
    if (before === undefined) this.#first = behind
    else before.behind = behind
    if (behind === undefined) this.#last = before
    else behind.before = before
    item.before = item.behind = undefined
    return true
  }

  /** Removes what came first, if there is anything. */
  shift(): T | undefined {
    const first = this.#first
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Everything that is in the list now, whatever is removed meanwhile. */
  snapshot(): T[] {
    const items: T[] = []
    for (let item = this.#first; item !== undefined; item = item.behind) items.push(item)
    return items
  }
}
