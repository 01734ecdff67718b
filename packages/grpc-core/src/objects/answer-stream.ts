import { iteratorResult } from '../calls/request-pump.ts'

/** What an answer is given out to. */
interface Receiver {
  message(message: unknown): void
  done(): void
  failed(error: unknown): void
}

/** The responses an interceptor answered with, given out as they are asked for. One is fetched ahead. */
export class AnswerStream {
  readonly #responses: AsyncIterator<unknown> | Iterator<unknown>
  readonly #receiver: Receiver
  #held: { readonly message: unknown } | undefined
  #asked: boolean
  #silent = false
  #closed = false

  /** @param asked whether a message has been asked for already */
  constructor(responses: AsyncIterator<unknown> | Iterator<unknown>, receiver: Receiver, asked: boolean) {
    this.#responses = responses
    this.#receiver = receiver
    this.#asked = asked
    // Unasked: a generator starts its call when it is asked for something.
    void this.#fetch()
  }

  ask(): void {
    this.#asked = true
    if (this.#held !== undefined && !this.#silent) this.#give(this.#held.message)
  }

  /** Gives out no more messages. How the source ends may still matter. */
  silence(): void {
    this.#silent = true
  }

  /** No more is wanted. The source is told, and not waited for; what it does wrong while closing changes nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      void Promise.resolve(this.#responses.return?.()).catch(() => undefined)
    } catch {}
  }

  async #fetch(): Promise<void> {
    let item: IteratorResult<unknown>
    try {
      item = iteratorResult(await this.#responses.next())
    } catch (error) {
      if (!this.#closed) this.#receiver.failed(error)
      return
    }
    if (this.#closed) return
    if (item.done) {
      this.#closed = true
      this.#receiver.done()
      return
    }
    if (this.#silent) return
    if (this.#asked) this.#give(item.value)
    else this.#held = { message: item.value }
  }

  #give(message: unknown): void {
    this.#held = undefined
    this.#asked = false
    // Asked for first: whatever the application does with a message, the next one comes.
    void this.#fetch()
    this.#receiver.message(message)
  }
}
