import { show } from '../runtime/show.ts'

/** The writable half of a grpc-js call. */
interface Sink<Q> {
  write(message: Q, written: () => void): unknown
  end(): unknown
}

/**
 * The iterator of a request source.
 * @throws TypeError if it is neither an async iterable nor an iterable.
 */
export function requestIterator<Q>(source: unknown, path: string): AsyncIterator<Q> | Iterator<Q> {
  if (isAsyncIterable<Q>(source)) return source[Symbol.asyncIterator]()
  // A string is iterable too, and never meant.
  if (typeof source === 'object' && isIterable<Q>(source)) return source[Symbol.iterator]()
  throw new TypeError(`${path}: requests must be an iterable or an async iterable of messages, got ${show(source)}`)
}

/**
 * The result an iterator of the application gave.
 * @throws TypeError if it is none, as a loop over the iterator would.
 */
export function iteratorResult<T>(given: IteratorResult<T>): IteratorResult<T> {
  if (typeof given === 'object' && given !== null) return given
  throw new TypeError(`an iterator gave ${show(given)} instead of a result`)
}

export function isAsyncIterable<T>(value: unknown): value is AsyncIterable<T> {
  return typeof (value as Partial<AsyncIterable<T>> | null | undefined)?.[Symbol.asyncIterator] === 'function'
}

export function isIterable<T>(value: unknown): value is Iterable<T> {
  return typeof (value as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] === 'function'
}

/** Moves messages from a source to a call, one at a time: the next is asked for when the last one was written. */
export class RequestPump<Q> {
  readonly #iterator: AsyncIterator<Q> | Iterator<Q>
  readonly #sink: Sink<Q>
  readonly #failed: (error: unknown) => void
  #stopped = false

  /** @param failed called when the source throws */
  constructor(iterator: AsyncIterator<Q> | Iterator<Q>, sink: Sink<Q>, failed: (error: unknown) => void) {
    this.#iterator = iterator
    this.#sink = sink
    this.#failed = failed
  }

  start(): void {
    if (this.#stopped) return
    try {
      const result = this.#iterator.next()
      if ('then' in result) {
        result.then(
          (item) => this.#take(item),
          (error: unknown) => this.#fail(error),
        )
      } else this.#take(result)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The call has ended. The source is told, and not waited for: it may hang in what it awaits. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    try {
      const returned: unknown = this.#iterator.return?.()
      // The call has ended: an error of a source that closes has no effect on it.
      if (returned instanceof Promise) returned.catch(() => undefined)
    } catch {}
  }

  #take(item: IteratorResult<Q>): void {
    if (this.#stopped) return
    try {
      if (item.done) {
        this.#stopped = true
        this.#sink.end()
      } else this.#sink.write(item.value, () => this.start())
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.stop()
    this.#failed(error)
  }
}
