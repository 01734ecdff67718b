interface Message<T> {
  readonly message: T
  readonly taken: (() => void) | undefined
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** What a source tells whoever fills it. */
export interface SourceEvents {
  /** A message is asked for and none is there. */
  wanted?(): void
  /** The consumer left before the end. */
  left?(): void
}

/**
 * Messages that are handed over one by one as a consumer iterates. Whoever fills it learns that a message was taken when the
 * consumer asks for the next one, so that the consumer sets the pace. One consumer: what was consumed is gone.
 */
export class MessageSource<T> implements AsyncIterable<T, undefined> {
  readonly #what: string
  readonly #events: SourceEvents
  readonly #queue: Message<T>[] = []
  readonly #waiting: Waiting<T>[] = []
  #last: Message<T> | undefined
  #ending: { readonly error: unknown } | 'done' | undefined
  #iterated = false
  #left = false

  /** @param what names it in the error of a second consumer */
  constructor(what: string, events: SourceEvents = {}) {
    this.#what = what
    this.#events = events
  }

  push(message: T, taken?: () => void): void {
    if (this.#ending !== undefined || this.#left) {
      if (taken) process.nextTick(taken)
      return
    }
    this.#queue.push({ message, taken })
    this.#deliver()
    if (this.#waiting.length > 0) this.#events.wanted?.()
  }

  /** No message comes any more. */
  end(): void {
    this.#ending ??= 'done'
    this.#deliver()
  }

  /** The consumer gets this error after the messages that are there. */
  fail(error: unknown): void {
    this.#ending ??= { error }
    this.#deliver()
  }

  /** Drops what nobody has taken, and ends with this error, if it has not come to its end. */
  close(error: unknown): void {
    if (this.#ending === undefined || this.#queue.length > 0) this.#ending = { error }
    for (const { taken } of [...(this.#last ? [this.#last] : []), ...this.#queue.splice(0)]) {
      if (taken) process.nextTick(taken)
    }
    this.#last = undefined
    this.#deliver()
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    if (this.#iterated) throw new Error(`${this.#what} can be iterated once; keep the messages to send them again`)
    this.#iterated = true
    const iterator: AsyncIterableIterator<T, undefined> = {
      [Symbol.asyncIterator]: () => iterator,
      next: () =>
        new Promise((resolve, reject) => {
          this.#waiting.push({ resolve, reject })
          this.#release()
          this.#deliver()
          if (this.#waiting.length > 0) this.#events.wanted?.()
        }),
      return: () => {
        this.#leave()
        return Promise.resolve(DONE)
      },
    }
    return iterator
  }

  #release(): void {
    const { taken } = this.#last ?? {}
    this.#last = undefined
    taken?.()
  }

  #deliver(): void {
    while (this.#waiting.length > 0) {
      const message = this.#left ? undefined : this.#queue.shift()
      if (message !== undefined) {
        this.#release()
        this.#last = message
        this.#waiting.shift()?.resolve({ done: false, value: message.message })
        continue
      }
      const ending = this.#left ? 'done' : this.#ending
      if (ending === undefined) return
      const waiting = this.#waiting.shift()
      if (ending === 'done') waiting?.resolve(DONE)
      else {
        this.#ending = 'done'
        waiting?.reject(ending.error)
      }
    }
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    const early = this.#ending === undefined || this.#queue.length > 0
    this.#release()
    for (const { taken } of this.#queue.splice(0)) taken?.()
    this.#deliver()
    if (early) this.#events.left?.()
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }
