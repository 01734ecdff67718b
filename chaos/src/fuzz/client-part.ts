import { AsyncLocalStorage } from 'node:async_hooks'
import type { Deadline, Metadata, ServiceError, StatusObject } from '@grpc/grpc-js'
import type { Item, Pattern, Stub } from '../service.ts'
import { metadataText } from './metadata-text.ts'

/** What the application's own context holds while it makes a call. */
export const callerContext = new AsyncLocalStorage<string>()

/** What every way to make a call tells of it. */
export interface ClientPart {
  /** All that the application observed, in order. */
  readonly events: string[]
  /** How each write was answered. */
  readonly writes: string[]
  /** Faults that no comparison is needed for. */
  readonly violations: string[]
  /** Messages that have arrived, those that wait in a buffer included. */
  readonly arrived: number
  readonly delivered: readonly number[]
  readonly headersSeen: boolean
  readonly paused: boolean
  readonly halfClosed: boolean
  /** How the RPC ended, once it has. */
  readonly code: number | undefined
  readonly details: string | undefined
  /** Requests whose write was confirmed. */
  readonly confirmed: readonly number[]
  write(item: Item, uncompressed: boolean): void
  halfClose(): void
  cancel(): void
  pause(): void
  resume(): void
}

export interface Opening {
  readonly pattern: Pattern
  readonly request: Item | undefined
  readonly metadata: Metadata
  readonly options: { readonly deadline?: Deadline }
}

const NO_COMPRESS = 2

/** A call of a callback stub. */
export class StubCall implements ClientPart {
  readonly events: string[] = []
  readonly writes: string[] = []
  readonly violations: string[] = []
  readonly delivered: number[] = []
  readonly confirmed: number[] = []
  headersSeen = false
  paused = false
  halfClosed = false
  code: number | undefined
  details: string | undefined
  readonly #call: ReturnType<Stub[Pattern]>
  readonly #pattern: Pattern
  readonly #context: string | undefined
  readonly #checksContext: boolean
  #answered = false
  #failedWith: number | undefined
  #writes = 0

  constructor(stub: Stub, { pattern, request, metadata, options }: Opening, checksContext: boolean) {
    this.#pattern = pattern
    this.#context = callerContext.getStore()
    this.#checksContext = checksContext
    const callback = (error: ServiceError | null, response?: Item): void => {
      if (this.#answered) this.violations.push('the callback was called twice')
      this.#answered = true
      this.#failedWith = error?.code
      this.#observe(error === null ? `response ${text(response)}` : errorText(error))
      if (response !== undefined) this.delivered.push(response.n)
    }
    if (pattern === 'unary') this.#call = stub.unary(request as Item, metadata, options, callback)
    else if (pattern === 'clientStream') this.#call = stub.clientStream(metadata, options, callback)
    else if (pattern === 'serverStream') this.#call = stub.serverStream(request as Item, metadata, options)
    else this.#call = stub.bidi(metadata, options)
    this.halfClosed = request !== undefined
    // The events have the same form in all four kinds of calls.
    const call = this.#call as NodeJS.EventEmitter
    call.on('metadata', (headers: Metadata) => {
      if (this.headersSeen) this.violations.push('response headers came twice')
      if (this.code !== undefined) this.violations.push('response headers came after the status')
      this.headersSeen = true
      this.#observe(`headers ${metadataText(headers)}`)
    })
    call.on('status', (status: StatusObject) => {
      if (this.code !== undefined) this.violations.push(`a second status: ${status.code}`)
      // OK without a response is an error to the callback, and OK to who listens for the status.
      // grpc-js may say undefined, for a message compressed in no known way.
      this.code = this.#failedWith ?? status.code ?? Number.NaN
      this.details = status.details
      const { code, details, metadata: trailers } = status
      this.#observe(`status ${code} ${details} ${metadataText(trailers)} [${Object.keys(status).sort()}]`)
    })
    if (pattern === 'serverStream' || pattern === 'bidi') {
      let failed = false
      call.on('data', (item: Item) => {
        this.delivered.push(item.n)
        this.#observe(`message ${text(item)}`)
      })
      call.on('end', () => this.#observe('end'))
      call.on('error', (error: ServiceError) => {
        if (failed) this.violations.push(`a second error: ${error.message}`)
        failed = true
        this.#observe(errorText(error))
      })
    } else {
      // A request stream reports the errors of its writable side.
      call.on('error', (error: Error) => this.#observe(`error ${error.message}`))
    }
  }

  get isOver(): boolean {
    return this.code !== undefined && (this.#answered || this.#pattern === 'serverStream' || this.#pattern === 'bidi')
  }

  get arrived(): number {
    return this.delivered.length + ('readableLength' in this.#call ? this.#call.readableLength : 0)
  }

  write(item: Item, uncompressed: boolean): void {
    const call = this.#call
    if (!('write' in call)) return
    const at = this.#writes++
    this.writes[at] = 'unanswered'
    // grpc-js takes flags of a message in the place of its encoding.
    const flags = uncompressed ? (NO_COMPRESS as unknown as BufferEncoding) : undefined
    const answered = (error: Error | null | undefined): void => {
      if (this.writes[at] !== 'unanswered') this.violations.push(`write ${item.n} was answered twice`)
      this.writes[at] = error ? `failed: ${error.message}` : 'confirmed'
      if (!error) this.confirmed.push(item.n)
      this.#checkContext('a write callback')
    }
    call.write(item, flags as BufferEncoding, answered)
  }

  halfClose(): void {
    this.halfClosed = true
    if ('write' in this.#call) this.#call.end()
  }

  cancel(): void {
    this.#call.cancel()
  }

  pause(): void {
    this.paused = true
    if ('pause' in this.#call) this.#call.pause()
  }

  resume(): void {
    this.paused = false
    if ('resume' in this.#call) this.#call.resume()
  }

  #observe(event: string): void {
    this.events.push(event)
    this.#checkContext(event)
  }

  #checkContext(event: string): void {
    if (!this.#checksContext) return
    const store = callerContext.getStore()
    if (store !== this.#context) this.violations.push(`"${event.slice(0, 40)}" came in the context of ${store}`)
  }
}

const text = (item: Item | undefined): string => (item === undefined ? 'none' : `${item.n}/${item.size}`)

function errorText(error: ServiceError): string {
  const { code, details, metadata, message } = error
  const keys = Object.getOwnPropertyNames(error).sort()
  const caller = error.stack?.includes('for call at') ? ' at its call' : ''
  return `error ${code} ${details} "${message}" ${metadataText(metadata)} [${keys}]${caller}`
}
