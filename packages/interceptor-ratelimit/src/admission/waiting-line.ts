/** A place in a line. */
export interface Place<T> {
  readonly value: T
  before: Place<T> | undefined
  behind: Place<T> | undefined
  gone: boolean
}

/** First in, first out, and anybody may leave from where he stands. Every operation is O(1). */
export class WaitingLine<T> {
  length = 0
  #first: Place<T> | undefined
  #last: Place<T> | undefined

  get first(): Place<T> | undefined {
    return this.#first
  }

  join(value: T): Place<T> {
    const place: Place<T> = { value, before: this.#last, behind: undefined, gone: false }
    if (this.#last === undefined) this.#first = place
    else this.#last.behind = place
    this.#last = place
    this.length++
    return place
  }

  /** Leaving twice is leaving once. */
  leave(place: Place<T>): boolean {
    if (place.gone) return false
    place.gone = true
    if (place.before === undefined) this.#first = place.behind
    else place.before.behind = place.behind
    if (place.behind === undefined) this.#last = place.before
    else place.behind.before = place.before
    this.length--
    return true
  }
}
