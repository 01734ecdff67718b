import type { Metadata } from '@grpc/grpc-js'
import type { Call, CallAttempt } from '../contract/call.ts'
import { type CallRecord, type MessageBytes, RECORD } from '../contract/call-record.ts'
import { CallCredentials, type CredentialScrubber } from '../contract/credential-text.ts'
import type { MethodInfo } from '../contract/method.ts'
import type { Status } from '../contract/status.ts'
import { isThenable } from '../runtime/thenable.ts'

/** More than any retry policy makes; hedges have a limit of their own. */
const MOST_ATTEMPTS = 16

/** A call of any engine: the slot is there from the start, or is made by the first observer. */
interface Recorded {
  [RECORD]?: CallRecord | undefined
}

/** The record of the run at hand, if an observer stands on it. */
export function recordOf(call: Call): CallRecord | undefined {
  return (call as Recorded)[RECORD]
}

/** Makes the record of the run at hand. */
export function openRecord(call: Call): CallRecord {
  const record = new RunRecord(call)
  ;(call as Recorded)[RECORD] = record
  return record
}

/** The end of an RPC as one layer sees it. The status says how many attempts there were, where there was more than one. */
export function noteEnd(record: CallRecord, { attempts, hedges }: Status): void {
  const noted = record as { attempts: number; hedges: number } // ours, of whichever copy
  if (attempts !== undefined) noted.attempts = attempts
  if (hedges !== undefined) noted.hedges = hedges
}

/** What some observers ask for and most do not. */
interface Asked {
  requests?: number
  responses?: number
  sums?: Sums[]
}

/** A call makes one, so it is small. */
class RunRecord implements CallRecord {
  readonly call: Call
  readonly startedAt: number = performance.now()
  attempts = 1
  hedges = 0
  #asked: Asked | undefined
  /** What the call and its attempts were sent with: most have one. */
  #sent: Metadata | Metadata[] | undefined
  #credentials: CallCredentials | undefined
  /** What the latest scrubber is for. */
  #scrubbed: Status | undefined
  #scrubber: CredentialScrubber | undefined
  #claimed = false

  constructor(call: Call) {
    this.call = call
  }

  get side(): 'client' | 'server' {
    return this.call.side
  }

  get method(): MethodInfo {
    return this.call.method
  }

  get startTime(): number {
    return Math.round(Date.now() - (performance.now() - this.startedAt))
  }

  get requests(): number | undefined {
    return this.#asked?.requests
  }

  get responses(): number | undefined {
    return this.#asked?.responses
  }

  peer(): string {
    return this.call.peer()
  }

  countRequests(): void {
    const asked = this.#ask()
    if (asked.requests !== undefined) return
    asked.requests = 0
    this.call.onRequest(() => {
      asked.requests = (asked.requests ?? 0) + 1
    })
  }

  countResponses(): void {
    const asked = this.#ask()
    if (asked.responses !== undefined) return
    asked.responses = 0
    this.call.onResponse(() => {
      asked.responses = (asked.responses ?? 0) + 1
    })
  }

  measure(sizeOf: (message: unknown) => number, failed?: (error: unknown) => void): MessageBytes {
    const asked = this.#ask()
    const known = asked.sums?.find((sums) => sums.sizeOf === sizeOf)
    if (known !== undefined) return known
    const sums = new Sums(sizeOf, failed)
    asked.sums ??= []
    asked.sums.push(sums)
    this.call.onRequest((message) => {
      sums.requests += sums.of(message)
    })
    this.call.onResponse((message) => {
      sums.responses += sums.of(message)
    })
    return sums
  }

  followCredentials(): void {
    const { metadata } = this.call
    if (this.#sent === undefined) this.#sent = metadata
    // An interceptor between the observers has put others in their place.
    else this.#remember(metadata)
  }

  claimAttempts(): boolean {
    if (this.#sent === undefined || this.#claimed) return false
    this.#claimed = true
    return true
  }

  rememberAttempt({ call, number, repeatable }: CallAttempt): void {
    // A call that may be repeated forgets what interceptors inside of it set for an attempt.
    if ((repeatable || call !== this.call) && number <= MOST_ATTEMPTS) this.#remember(call.metadata)
  }

  scrubber(status?: Status): CredentialScrubber {
    // The observers of a call ask one after the other, in one turn.
    if (status !== undefined && this.#scrubbed === status) return this.#scrubber as CredentialScrubber
    const sent = this.#sent
    this.#credentials ??= new CallCredentials(this.call)
    const more = Array.isArray(sent) ? [status?.metadata, ...sent] : [status?.metadata, sent]
    this.#scrubbed = status
    this.#scrubber = this.#credentials.scrubber(more)
    return this.#scrubber
  }

  #remember(metadata: Metadata): void {
    const sent = this.#sent
    if (Array.isArray(sent)) {
      if (!sent.includes(metadata)) sent.push(metadata)
    } else if (sent !== undefined && sent !== metadata) this.#sent = [sent, metadata]
  }

  #ask(): Asked {
    this.#asked ??= {}
    return this.#asked
  }
}

class Sums implements MessageBytes {
  readonly sizeOf: (message: unknown) => number
  readonly #failed: ((error: unknown) => void) | undefined
  requests = 0
  responses = 0

  constructor(sizeOf: (message: unknown) => number, failed: ((error: unknown) => void) | undefined) {
    this.sizeOf = sizeOf
    this.#failed = failed
  }

  of(message: unknown): number {
    try {
      const bytes: unknown = this.sizeOf(message)
      if (isThenable(bytes)) bytes.then(undefined, (error: unknown) => this.#failed?.(error))
      return typeof bytes === 'number' && Number.isFinite(bytes) ? bytes : 0
    } catch (error) {
      this.#failed?.(error)
      return 0
    }
  }
}
