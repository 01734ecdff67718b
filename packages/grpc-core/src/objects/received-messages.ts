import type { ResponseSource } from '../calls/response-iterator.ts'

/** As many as a stream of grpc-js reads ahead of the application that reads it (Node: the high-water mark of object streams). */
const AHEAD = 16
/** While the interceptor object iterates, which needs some promises for each message. The application's stream reads ahead too. */
const AHEAD_OF_LOOP = 2

/**
 * Responses of a call that an interceptor object has made, until something takes them. Asks for a message when one is wanted, and
 * ahead of that, up to a bound, while it is not known what the object will do with them.
 */
export class ReceivedMessages implements ResponseSource<unknown> {
  readonly #startRead: () => void
  #messages: unknown[] = []
  #asked = false
  #ahead = 0
  #readable: (() => void) | undefined

  constructor(startRead: () => void) {
    this.#startRead = startRead
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  get readableLength(): number {
    return this.#messages.length
  }

  readAhead(): void {
    this.#ahead = AHEAD
    this.#askAhead()
  }

  /** From now on a message is asked for only when one is wanted. */
  onDemand(): void {
    this.#ahead = 0
  }

  push(message: unknown): void {
    this.#asked = false
    this.#messages.push(message)
    this.#askAhead()
    this.#readable?.()
  }

  take(): unknown {
    return this.#messages.shift()
  }

  /** A message is wanted, and none is there. */
  ask(): void {
    if (this.#asked) return
    this.#asked = true
    this.#startRead()
  }

  /** The message that was asked for goes elsewhere. */
  arrived(): void {
    this.#asked = false
  }

  clear(): void {
    this.#messages = []
  }

  read(): unknown {
    this.#ahead = Math.min(this.#ahead, AHEAD_OF_LOOP)
    const message = this.#messages.shift()
    if (message === undefined) this.ask()
    else this.#askAhead()
    return message ?? null
  }

  on(event: 'readable' | 'end', listener: () => void): void {
    if (event === 'readable') this.#readable = listener
  }

  off(event: 'readable' | 'end'): void {
    if (event === 'readable') this.#readable = undefined
  }

  #askAhead(): void {
    if (this.#messages.length < this.#ahead) this.ask()
  }
}
