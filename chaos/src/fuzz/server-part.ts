import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import type { Item, Pattern } from '../service.ts'
import { type Entries, metadataFrom, metadataText } from './metadata-text.ts'

export type AnyServerCall =
  | ServerUnaryCall<Item, Item>
  | ServerReadableStream<Item, Item>
  | ServerWritableStream<Item, Item>
  | ServerDuplexStream<Item, Item>

/** One run of a handler: what it observes, and what the script makes it do. */
export interface ServerPart {
  readonly events: readonly string[]
  readonly writes: readonly string[]
  readonly violations: readonly string[]
  readonly received: readonly number[]
  /** Responses whose write was confirmed. */
  readonly confirmed: readonly number[]
  /** Requests that have arrived, those that wait in a buffer included. */
  readonly arrived: number
  readonly paused: boolean
  readonly halfClosed: boolean
  /** Whether the handler has been told that its RPC is over, which grpc-js tells after each. */
  readonly over: boolean
  /** Whether it has given a status. */
  readonly answered: boolean
  headers(entries: Entries): void
  write(item: Item): void
  status(code: number, details: string, trailers: Metadata, response: Item | undefined): void
  pause(): void
  resume(): void
}

/** A run of a handler in the form of grpc-js's: with a callback, or events. */
export class CallbackHandler implements ServerPart {
  readonly events: string[] = []
  readonly writes: string[] = []
  readonly violations: string[] = []
  readonly received: number[] = []
  readonly confirmed: number[] = []
  paused = false
  halfClosed = false
  over = false
  answered = false
  readonly call: AnyServerCall
  readonly pattern: Pattern
  readonly #respond: sendUnaryData<Item> | undefined
  #writes = 0

  constructor(pattern: Pattern, call: AnyServerCall, respond: sendUnaryData<Item> | undefined) {
    this.pattern = pattern
    this.call = call
    this.#respond = respond
    this.events.push(`metadata ${metadataText(call.metadata)}`)
    if (call.getDeadline() !== Number.POSITIVE_INFINITY) this.events.push('has a deadline')
    // One emitter type per pattern; the events have the same form in all.
    const emitter = call as NodeJS.EventEmitter
    emitter.on('cancelled', () => {
      if (this.over) this.violations.push("'cancelled' came twice")
      this.over = true
      this.events.push('over')
    })
    emitter.on('error', (error: Error) => this.events.push(`error ${error.message}`))
    if (pattern === 'unary' || pattern === 'serverStream') {
      const { request } = call as ServerUnaryCall<Item, Item>
      this.#receive(request)
      this.halfClosed = true
    } else {
      emitter.on('data', (item: Item) => this.#receive(item))
      emitter.on('end', () => {
        this.halfClosed = true
        this.events.push('half-closed')
      })
    }
  }

  get arrived(): number {
    const buffered = 'readableLength' in this.call ? this.call.readableLength : 0
    return this.received.length + buffered
  }

  headers(entries: Entries): void {
    this.call.sendMetadata(metadataFrom(entries))
  }

  write(item: Item): void {
    const call = this.call
    if (this.#respond !== undefined || !('write' in call)) return
    const at = this.#writes++
    this.writes[at] = 'unanswered'
    call.write(item, (error: Error | null | undefined) => {
      if (this.writes[at] !== 'unanswered') this.violations.push(`response ${item.n} was answered twice`)
      this.writes[at] = error ? `failed: ${error.message}` : 'confirmed'
      if (!error) this.confirmed.push(item.n)
    })
  }

  status(code: number, details: string, trailers: Metadata, response: Item | undefined): void {
    this.answered = true
    const error = { name: 'Error', message: details, code, details, metadata: trailers }
    if (this.#respond !== undefined) {
      if (code === 0) this.#respond(null, response, trailers)
      else this.#respond(error)
    } else {
      const stream = this.call as ServerDuplexStream<Item, Item>
      if (code === 0) stream.end(trailers)
      else stream.emit('error', error)
    }
  }

  pause(): void {
    this.paused = true
    if ('pause' in this.call) this.call.pause()
  }

  resume(): void {
    this.paused = false
    if ('resume' in this.call) this.call.resume()
  }

  #receive(item: Item): void {
    this.received.push(item.n)
    this.events.push(`request ${item.n}/${item.size}`)
    if (this.over && this.pattern === 'unary') this.violations.push('a request came after the end')
  }
}
