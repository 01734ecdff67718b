import type { ReplayLimits } from '../../contract/call.ts'

/** One request message on its way, and what is needed to send it again. */
export interface RequestEntry {
  readonly message: unknown
  /** What it came to when it was written: the application may use the object again. Undefined if it does not serialize. */
  readonly bytes: Buffer | undefined
  readonly flags: number | undefined
  /** Tells the application that the message was written; undefined once told. */
  written: (() => void) | undefined
  /** How many replay points it has passed. */
  passed: number
  /** What it had become at each of them, if a tap has changed it. */
  stages: unknown[] | undefined
}

/**
 * Request messages in order: a queue while nothing can be sent, a record while another attempt may need them again.
 * Knows nothing of gRPC.
 */
export class RequestLog {
  entries: RequestEntry[] = []
  /** Index of the next entry to send on the current attempt. */
  cursor = 0
  #bytes = 0
  /** Of these, how many are taken from the pool. */
  #pooled = 0
  #keep: ReplayLimits | undefined
  /** A message came for which there was no room. */
  overflown = false

  get keeping(): boolean {
    return this.#keep !== undefined
  }

  get drained(): boolean {
    return this.cursor === this.entries.length
  }

  /** From now on sent messages are kept. The larger of two limits holds. */
  keep(limits: ReplayLimits): void {
    const before = this.#keep
    if (before === undefined) {
      this.#keep = limits
      return
    }
    const pool = before.pool ?? limits.pool
    this.#keep = {
      maxBytes: Math.max(limits.maxBytes, before.maxBytes),
      maxMessages: Math.max(limits.maxMessages, before.maxMessages),
      ...(pool && { pool }),
    }
  }

  /** Whether what is kept still fits after this message. */
  add(entry: RequestEntry, bytes: number): boolean {
    if (this.entries.length === 0) this.entries = [entry]
    else this.entries.push(entry)
    this.#bytes += bytes
    const keep = this.#keep
    if (keep === undefined || this.overflown) return !this.overflown
    this.overflown = this.entries.length > keep.maxMessages || this.#bytes > keep.maxBytes || !this.#pool(keep, bytes)
    return !this.overflown
  }

  /** The next message to send, or undefined. One that is not kept is forgotten. */
  take(): RequestEntry | undefined {
    if (this.cursor === this.entries.length) return undefined
    if (this.#keep === undefined) return this.entries.shift()
    return this.entries[this.cursor++]
  }

  #pool({ pool }: ReplayLimits, bytes: number): boolean {
    if (pool === undefined || bytes === 0) return true
    if (!pool.reserve(bytes)) return false
    this.#pooled += bytes
    return true
  }

  /** Stops keeping and forgets what was sent. */
  release(): void {
    if (this.#pooled > 0) this.#keep?.pool?.release(this.#pooled)
    this.#pooled = 0
    this.overflown = false
    this.#keep = undefined
    this.entries.splice(0, this.cursor)
    this.cursor = 0
    this.#bytes = 0
  }

  /** Forgets what messages became at replay points from the nth on: they will pass those again. */
  forgetStagesFrom(n: number): void {
    for (const entry of this.entries) {
      entry.passed = Math.min(entry.passed, n)
      entry.stages?.splice(n)
    }
  }

  /** Starts over for a new attempt. */
  rewind(): void {
    this.cursor = 0
  }
}
