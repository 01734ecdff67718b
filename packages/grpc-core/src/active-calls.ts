/** What a call has to have to stand in the list. */
export interface ListedCall<C> {
  /** The call in front of it, and the one behind. The list's own business. */
  before: C | undefined
  behind: C | undefined
}

/**
 * The calls in progress, as links from one to the next.
 *
 * A Set would do but for garbage collection: a table that its churn replaced leads to its successor, so once an old one is
 * promoted, all later ones survive every small collection, and with them each call that stood in one (V8 11,
 * OrderedHashTable::Rehash). Links that are undone leave nothing behind.
 */
export class ActiveCalls<C extends ListedCall<C>> {
  #first: C | undefined

  add(call: C): void {
    const first = this.#first
    if (first !== undefined) first.before = call
    call.behind = first
    this.#first = call
  }

  /** Nothing happens to a call that is not in the list. */
  remove(call: C): void {
    const { before, behind } = call
    if (before !== undefined) before.behind = behind
    else if (this.#first === call) this.#first = behind
    if (behind !== undefined) behind.before = before
    call.before = call.behind = undefined
  }

  /** Each call that is in the list now, whatever is removed meanwhile. */
  snapshot(): C[] {
    const calls: C[] = []
    for (let call = this.#first; call !== undefined; call = call.behind) calls.push(call)
    return calls
  }
}
