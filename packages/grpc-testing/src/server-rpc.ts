import type { EventEmitter } from 'node:events'
import {
  status as Code,
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { Gate } from './gate.ts'
import type { TestMessage, TestPattern } from './test-service.ts'

/** What grpc-js gives the handler of one of the four methods. */
export type RawServerCall =
  | ServerUnaryCall<TestMessage, TestMessage>
  | ServerReadableStream<TestMessage, TestMessage>
  | ServerWritableStream<TestMessage, TestMessage>
  | ServerDuplexStream<TestMessage, TestMessage>

type SingleRequest = ServerUnaryCall<TestMessage, TestMessage> | ServerWritableStream<TestMessage, TestMessage>
type RequestStream = ServerReadableStream<TestMessage, TestMessage> | ServerDuplexStream<TestMessage, TestMessage>
type ResponseStream = ServerWritableStream<TestMessage, TestMessage> | ServerDuplexStream<TestMessage, TestMessage>

/** How a behaviour ends an RPC. */
export type EndStatus = Partial<StatusObject>

/**
 * One RPC as the server's handler has it, the same for all four patterns, and the record of what happened. Nothing in
 * here throws when the client is gone.
 */
export class ServerRpc {
  readonly pattern: TestPattern
  readonly call: RawServerCall
  /** The requests read so far. */
  readonly requests: TestMessage[] = []
  /** What the handler saw: `request`, `half-close`, `closed`, in order. */
  readonly events: string[] = []
  /** What the handler ended with. */
  status: EndStatus | undefined
  /** The RPC was over before the handler ended it. */
  cancelled = false
  readonly #respond: sendUnaryData<TestMessage> | undefined
  readonly #closed = new Gate()
  /** Of writes in progress. To race with `closed` would keep something of each of them until the RPC is over. */
  readonly #goOn = new Set<() => void>()
  #source: AsyncIterator<TestMessage> | undefined
  #answer: TestMessage | undefined
  readonly #over = (): void => {
    if (this.isClosed) return
    this.cancelled = this.status === undefined
    this.events.push('closed')
    this.#closed.open()
    for (const goOn of this.#goOn) goOn()
  }

  constructor(pattern: TestPattern, call: RawServerCall, respond?: sendUnaryData<TestMessage>) {
    this.pattern = pattern
    this.call = call
    this.#respond = respond
    // grpc-js says 'cancelled' at the end of every RPC, success included.
    const emitter: EventEmitter = call
    emitter.once('cancelled', this.#over)
    // But not to a handler that it starts for a single request whose half-close has come after the deadline (server-interceptors.ts,
    // 1.14). The timer that ended the RPC may have been a millisecond early.
    if ((pattern === 'unary' || pattern === 'serverStream') && Date.now() + 1 >= this.deadline) this.#over()
  }

  get metadata(): Metadata {
    return this.call.metadata
  }

  /** Epoch milliseconds, `Infinity` when there is none. */
  get deadline(): number {
    const deadline = this.call.getDeadline()
    return typeof deadline === 'number' ? deadline : deadline.getTime()
  }

  /** Resolves when the RPC is over for the server, however it ended. */
  get closed(): Promise<void> {
    return this.#closed.opened
  }

  get isClosed(): boolean {
    return this.#closed.isOpen
  }

  /** The next request, or undefined after the last, and when the RPC is over. */
  async read(): Promise<TestMessage | undefined> {
    const message = await this.#next()
    if (message !== undefined) {
      this.requests.push(message)
      this.events.push('request')
    } else if (!this.isClosed) this.events.push('half-close')
    return message
  }

  /** All requests there still are. */
  async readAll(): Promise<readonly TestMessage[]> {
    while ((await this.read()) !== undefined);
    return this.requests
  }

  sendHeaders(headers: Metadata | Readonly<Record<string, string>>): void {
    this.call.sendMetadata(headers instanceof Metadata ? headers : metadataOf(headers))
  }

  /**
   * Sends a response message; a unary answer goes with `end`. Resolves when the client is ready for more, or gone.
   * @param onWritten grpc-js's write callback, called where grpc-js calls it
   */
  async write(message: TestMessage, onWritten?: () => void): Promise<void> {
    const stream = this.#responses
    if (stream === undefined) {
      this.#answer = message
      return
    }
    if (stream.destroyed) return
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        this.#goOn.delete(goOn)
        resolve()
      }
      this.#goOn.add(goOn)
      stream.write(message, () => {
        onWritten?.()
        goOn()
      })
      if (this.isClosed) goOn()
    })
  }

  /** Ends the RPC. Without a status: OK. */
  end(status: EndStatus = {}): void {
    if (this.status !== undefined) return
    this.status = status
    const ok = status.code === undefined || status.code === Code.OK
    const failure = {
      code: status.code ?? Code.OK,
      details: status.details ?? '',
      metadata: status.metadata ?? new Metadata(),
    }
    if (this.#respond !== undefined) {
      if (ok) this.#respond(null, this.#answer ?? {}, status.metadata)
      else this.#respond(failure)
    } else {
      const stream = this.#responses
      if (stream === undefined || stream.destroyed) return
      if (ok) stream.end(status.metadata)
      else stream.emit('error', failure)
    }
  }

  /** By pattern: at runtime the stream of a client-streaming call can be written to as well. */
  get #responses(): ResponseStream | undefined {
    return this.pattern === 'serverStream' || this.pattern === 'bidi' ? (this.call as ResponseStream) : undefined
  }

  async #next(): Promise<TestMessage | undefined> {
    if (this.pattern === 'unary' || this.pattern === 'serverStream') {
      return this.requests.length === 0 ? (this.call as SingleRequest).request : undefined
    }
    // A plain `for await` would destroy a duplex at half-close, and the answer with it.
    this.#source ??= (this.call as RequestStream).iterator({ destroyOnReturn: false })
    try {
      const { done, value } = await this.#source.next()
      return done ? undefined : value
    } catch {
      return undefined // the RPC is over
    }
  }
}

/** Metadata with these entries. */
export function metadataOf(entries: Readonly<Record<string, string | Buffer>>): Metadata {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value)
  return metadata
}
