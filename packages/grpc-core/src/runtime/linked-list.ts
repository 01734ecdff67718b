/** What something has to have to stand in a list. */
export interface Linked<T> {
  /** What stands in front of it, and what behind. The list's own business. */
  before: T | undefined
  behind: T | undefined
}

/**
 * Things that belong to calls in progress, in the order in which they came, as links from one to the next.
 *
 * A Set would do but for garbage collection: a table that its churn replaced leads to its successor, so once an old one is
 * promoted, all later ones survive every small collection, and with them all that stood in one (V8's
 * OrderedHashTable::Rehash). Links that are undone leave nothing behind.
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
