interface Message<T> {
  readonly message: T
  readonly taken: (() => void) | undefined
  readonly flags: number | undefined
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** Where a source sends its messages when nothing iterates it. */
interface Sink<T> {
  /** @param flags grpc-js: WriteFlags, if the message came with some */
  write(message: T, written: () => void, flags?: number): void
  end(): void
}

/** What a source tells what fills it. */
export interface SourceEvents {
  /** A message is asked for and none is there. */
  wanted?(): void
  /** The consumer left before the end. */
  left?(): void
}

/**
 * Messages that are handed over one by one as a consumer iterates. What fills it learns that a message was taken when the
 * consumer asks for the next one, so that the consumer sets the pace. What a consumer leaves was not taken. One consumer: what was
 * consumed is gone.
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
  #sink: Sink<T> | undefined
  #writing = false

  /** @param what names it in the error of a second consumer */
  constructor(what: string, events: SourceEvents = {}) {
    this.#what = what
    this.#events = events
  }

  /** @param flags for where the messages are forwarded to; what iterates them has no use for flags */
  push(message: T, taken?: () => void, flags?: number): void {
    if (this.#ending !== undefined) return
    this.#queue.push({ message, taken, flags })
    this.#flow()
    this.#deliver()
    if (this.#waiting.length > 0) this.#events.wanted?.()
  }

  /** No message comes any more. */
  end(): void {
    this.#ending ??= 'done'
    this.#flow()
    this.#deliver()
  }

  /** The consumer gets this error after the messages that are there. */
  fail(error: unknown): void {
    this.#ending ??= { error }
    this.#deliver()
  }

  /** Ends with this error, if it has not come to its end. Returns what was not taken. */
  close(error: unknown): Message<T>[] {
    if (this.#ending === undefined || this.#queue.length > 0) this.#ending = { error }
    const untaken = this.#queue.splice(0)
    if (this.#last !== undefined) untaken.unshift(this.#last)
    this.#last = undefined
    this.#deliver()
    return untaken
  }

  /**
   * Sends the messages on as they come, without a promise in between, one at a time. In the place of a consumer.
   * @throws Error if there is a consumer.
   */
  forwardTo(sink: Sink<T>): { stop(): void } {
    this.#claim()
    this.#sink = sink
    this.#flow()
    return { stop: () => this.#leave() }
  }

  #flow(): void {
    const sink = this.#sink
    if (sink === undefined || this.#writing || this.#left) return
    const message = this.#queue.shift()
    if (message !== undefined) {
      this.#writing = true
      const written = (): void => {
        this.#writing = false
        message.taken?.()
        this.#flow()
      }
      sink.write(message.message, written, message.flags)
    } else if (this.#ending === 'done') {
      this.#sink = undefined
      sink.end()
    }
  }

  #claim(): void {
    if (this.#iterated) throw new Error(`${this.#what} can be iterated once; keep the messages to send them again`)
    this.#iterated = true
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    this.#claim()
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
    this.#deliver()
    if (early) this.#events.left?.()
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }
