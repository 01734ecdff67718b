/** One request message on its way, and what is needed to send it again. */
export interface RequestEntry {
  readonly message: unknown
  readonly flags: number | undefined
  /** Tells the application that the message was written; undefined once told. */
  written: (() => void) | undefined
  /** What the message had become at each replay point it has passed. */
  stages: unknown[] | undefined
}

/**
 * Request messages in order: a queue while nothing can be sent, a record while another attempt may need them again.
 * Knows nothing of gRPC.
 */
export class RequestLog {
  readonly entries: RequestEntry[] = []
  /** Index of the next entry to send on the current attempt. */
  cursor = 0
  #bytes = 0
  #keep: { maxBytes: number; maxMessages: number } | undefined

  get keeping(): boolean {
    return this.#keep !== undefined
  }

  get drained(): boolean {
    return this.cursor === this.entries.length
  }

  /** From now on sent messages are kept. The larger of two limits holds. */
  keep(limits: { maxBytes: number; maxMessages: number }): void {
    this.#keep = {
      maxBytes: Math.max(limits.maxBytes, this.#keep?.maxBytes ?? 0),
      maxMessages: Math.max(limits.maxMessages, this.#keep?.maxMessages ?? 0),
    }
  }

  /** Whether what is kept still fits after this message. */
  add(entry: RequestEntry, bytes: number): boolean {
    this.entries.push(entry)
    this.#bytes += bytes
    return (
      this.#keep === undefined || (this.entries.length <= this.#keep.maxMessages && this.#bytes <= this.#keep.maxBytes)
    )
  }

  /** The next message to send, or undefined. One that is not kept is forgotten. */
  take(): RequestEntry | undefined {
    if (this.cursor === this.entries.length) return undefined
    if (this.#keep === undefined) return this.entries.shift()
    return this.entries[this.cursor++]
  }

  /** Stops keeping and forgets what was sent. */
  release(): void {
    this.#keep = undefined
    this.entries.splice(0, this.cursor)
    this.cursor = 0
    this.#bytes = 0
  }

  /** Starts over for a new attempt. */
  rewind(): void {
    this.cursor = 0
  }
}
