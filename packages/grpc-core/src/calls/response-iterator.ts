/** Where the iterator reads from: a readable stream, as far as it is needed. */
export interface ResponseSource<R> {
  read(): R | null
  readonly readableLength: number
  on(event: 'readable' | 'end', listener: () => void): unknown
  off(event: 'readable' | 'end', listener: () => void): unknown
}

/** What the iterator needs of its call. */
interface Owner {
  ended(): boolean
  /** Why the call has failed, if it has. */
  failure(): Error | undefined
  cancel(): void
  /** The source has come to its end without a word from the call. */
  exhausted(): void
}

interface Waiting<R> {
  readonly resolve: (result: IteratorResult<R, undefined>) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads responses on demand. Messages that arrived before the end of the call come first, then its
 * error, once; after that it is done for good.
 */
export class ResponseIterator<R> implements AsyncIterableIterator<R, undefined> {
  readonly #source: ResponseSource<R> | undefined
  readonly #owner: Owner
  readonly #waiting: Waiting<R>[] = []
  #done = false

  constructor(source: ResponseSource<R> | undefined, owner: Owner) {
    this.#source = source
    this.#owner = owner
    source?.on('readable', this.#onReadable)
    source?.on('end', this.#onEnd)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<R, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.deliver()
    })
  }

  return(): Promise<IteratorResult<R, undefined>> {
    if (!this.#done) {
      this.#close()
      this.#owner.cancel()
    }
    return Promise.resolve(DONE)
  }

  /** Hands out what there is. */
  deliver(): void {
    while (this.#waiting.length > 0) {
      if (this.#done) {
        this.#waiting.shift()?.resolve(DONE)
        continue
      }
      const message = this.#source?.read() ?? null
      if (message !== null) {
        this.#waiting.shift()?.resolve({ done: false, value: message })
        continue
      }
      if (!this.#owner.ended() || (this.#source?.readableLength ?? 0) > 0) return
      const failure = this.#owner.failure()
      const first = this.#waiting.shift()
      this.#close()
      if (failure === undefined) first?.resolve(DONE)
      else first?.reject(failure)
    }
  }

  readonly #onReadable = (): void => this.deliver()
  readonly #onEnd = (): void => this.#owner.exhausted()

  #close(): void {
    this.#done = true
    this.#source?.off('readable', this.#onReadable)
    this.#source?.off('end', this.#onEnd)
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE)
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }
