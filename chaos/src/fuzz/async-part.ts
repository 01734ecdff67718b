import { status as Code, type Metadata, type ServerReadableStream, type ServerUnaryCall } from '@grpc/grpc-js'
import { ContextVar, type Interceptor, RpcError, type ServerCall } from '@grpc-stack/grpc-core'
import type { Item } from '../service.ts'
import { type Entries, metadataFrom, metadataText } from './metadata-text.ts'
import type { AnyServerCall, ServerPart } from './server-part.ts'

const trailersVar = new ContextVar<Metadata>('trailers')

/** Gives async handlers a place for the trailers of OK: what they return or yield has none. */
export const withTrailers: Interceptor<ServerCall> = (call, next) => {
  trailersVar.set(call.trailers)
  return next()
}

interface Ending {
  readonly code: number
  readonly details: string
  readonly trailers: Metadata
  readonly response: Item | undefined
}

/** One run of an async handler: `response()` of a method with one response, `responses()` of one that streams them. */
export class AsyncHandler implements ServerPart {
  readonly events: string[] = []
  /** To yield a response is no write that is answered. */
  readonly writes: string[] = []
  readonly confirmed: number[] = []
  readonly violations: string[] = []
  readonly received: number[] = []
  paused = false
  halfClosed = false
  answered = false
  readonly #call: AnyServerCall
  readonly #responses: Item[] = []
  readonly #sleepers: (() => void)[] = []
  readonly #afterTheEnd: Item = {
    n: 0,
    size: 0,
    onSerialize: () => this.violations.push('a response was sent after the end'),
  }
  #ending: Ending | undefined
  #told = false
  /** Functions of the handler that have not come to their end. */
  #running = 0

  constructor(call: AnyServerCall) {
    this.#call = call
    this.events.push(`metadata ${metadataText(call.metadata)}`)
    if (call.getDeadline() !== Number.POSITIVE_INFINITY) this.events.push('has a deadline')
    // One emitter type per pattern; the event has the same form in all.
    const emitter = call as NodeJS.EventEmitter
    emitter.on('cancelled', () => {
      if (this.#told) this.violations.push("'cancelled' came twice")
      this.#told = true
      this.#wake()
    })
    if ('request' in call) {
      this.#receive((call as ServerUnaryCall<Item, Item>).request)
      this.halfClosed = true
    } else void this.#read(call)
  }

  /** Told of it, and come to the end: a generator that is not told to return never does. */
  get over(): boolean {
    return this.#told && this.#running === 0
  }

  get arrived(): number {
    const buffered = 'readableLength' in this.#call ? this.#call.readableLength : 0
    return this.received.length + buffered
  }

  async response(): Promise<Item> {
    this.#running++
    try {
      while (this.#ending === undefined) {
        if (this.#told) throw new RpcError(Code.CANCELLED, 'the handler was told that its RPC is over')
        await this.#sleep()
      }
      return this.#end(this.#ending) as Item // the script has one for OK
    } finally {
      this.#running--
    }
  }

  async *responses(): AsyncGenerator<Item> {
    this.#running++
    try {
      for (;;) {
        const next = this.#responses.shift()
        if (next !== undefined) yield next
        else if (this.#ending !== undefined) {
          this.#end(this.#ending)
          return
        } else if (!this.#told) await this.#sleep()
        else {
          yield this.#afterTheEnd // here it is told to return
          this.violations.push('a generator was asked for more after the end')
          return
        }
      }
    } finally {
      this.#running--
    }
  }

  headers(entries: Entries): void {
    this.#call.sendMetadata(metadataFrom(entries))
  }

  write(item: Item): void {
    if (this.answered) return // a generator has returned
    this.#responses.push(item)
    this.#wake()
  }

  status(code: number, details: string, trailers: Metadata, response: Item | undefined): void {
    this.answered = true
    this.#ending = { code, details, trailers, response }
    this.#wake()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#wake()
  }

  async #read(requests: ServerReadableStream<Item, Item>): Promise<void> {
    this.#running++
    try {
      for await (const item of requests) {
        this.#receive(item)
        while (this.paused && !this.answered && !this.#told) await this.#sleep()
        if (this.answered) return // with requests left
      }
      this.halfClosed = true
      this.events.push('half-closed')
    } catch (error) {
      // What the handler throws is an error of its call, which the loop reads.
      const failed = this.#ending !== undefined && this.#ending.code !== Code.OK
      if (!this.#told && !failed) this.violations.push(`the loop over requests failed before the end: ${error}`)
    } finally {
      this.#running--
    }
  }

  #receive(item: Item): void {
    this.received.push(item.n)
    this.events.push(`request ${item.n}/${item.size}`)
  }

  #end({ code, details, trailers, response }: Ending): Item | undefined {
    if (code !== Code.OK) throw new RpcError(code, details, { metadata: trailers })
    trailersVar.get().merge(trailers) // throws in another context
    return response
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => this.#sleepers.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve()
  }
}
