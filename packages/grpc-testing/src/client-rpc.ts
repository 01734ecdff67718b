import {
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { Gate } from './gate.ts'
import type { TestClient, TestMessage, TestPattern } from './test-service.ts'

/** What grpc-js gives the application for one of the four methods. */
export type RawClientCall =
  | ClientUnaryCall
  | ClientWritableStream<TestMessage>
  | ClientReadableStream<TestMessage>
  | ClientDuplexStream<TestMessage, TestMessage>

/** How `startRpc` makes a call. */
export interface RpcSettings {
  /**
   * What to send before half-closing. Without it a request stream stays open for `write` and `end`, and a single
   * request is `{}`.
   */
  readonly requests?: readonly TestMessage[]
  readonly metadata?: Metadata
  readonly options?: CallOptions
  /** Read response messages as they come. Default: true; otherwise `read` starts it. */
  readonly reading?: boolean
}

/** One RPC as the application has it, the same for all four patterns, and the record of all it can observe. */
export class ClientRpc {
  readonly pattern: TestPattern
  call!: RawClientCall
  /** `metadata`, `message`, `end`, `error`, `callback` and `status`, in the order they came. */
  readonly events: string[] = []
  readonly messages: TestMessage[] = []
  headers: Metadata | undefined
  /** What the callback or the 'error' event gave. */
  error: ServiceError | undefined
  status: StatusObject | undefined
  /** What `getPeer()` said when the headers came. */
  peer: string | undefined
  readonly #headers = new Gate()
  readonly #message = new Gate()
  readonly #done = new Gate()
  #reading = false

  constructor(pattern: TestPattern) {
    this.pattern = pattern
  }

  /** Resolves when the headers have come, or nothing more will. */
  get headersSeen(): Promise<void> {
    return Promise.race([this.#headers.opened, this.#done.opened])
  }

  /** Resolves when the first message has come, or nothing more will. */
  get messageSeen(): Promise<void> {
    return Promise.race([this.#message.opened, this.#done.opened])
  }

  /** Resolves when nothing more will come. */
  get done(): Promise<this> {
    return this.#done.opened.then(() => this)
  }

  get isDone(): boolean {
    return this.#done.isOpen
  }

  /** Sends a request. Resolves when grpc-js is ready for the next; rejects when the call is over. */
  write(message: TestMessage): Promise<void> {
    const { call } = this
    if (!('write' in call)) throw new Error(`a ${this.pattern} call has one request`)
    return new Promise((resolve, reject) => {
      call.write(message, (error: Error | null | undefined) => (error ? reject(error) : resolve()))
    })
  }

  /** Half-closes. */
  end(): void {
    if ('write' in this.call) this.call.end()
  }

  cancel(): void {
    this.call.cancel()
  }

  /** Starts reading, where it was not wanted from the start. */
  read(): void {
    if (this.#reading || !('read' in this.call)) return
    this.#reading = true
    this.call.on('data', (message: TestMessage) => {
      this.messages.push(message)
      this.events.push('message')
      this.#message.open()
    })
  }

  /** Stops reading for now. grpc-js holds back the server only once something was read. */
  pause(): void {
    if ('read' in this.call) this.call.pause()
  }

  /** Goes on reading. */
  resume(): void {
    if ('read' in this.call) this.call.resume()
  }

  /** Called by `startRpc`. */
  watch(call: RawClientCall, reading: boolean): void {
    this.call = call
    call.on('metadata', (headers: Metadata) => {
      this.headers = headers
      this.peer = call.getPeer()
      this.events.push('metadata')
      this.#headers.open()
    })
    call.on('status', (status: StatusObject) => {
      this.status = status
      this.events.push('status')
      this.#finish()
    })
    if ('read' in call) {
      call.on('error', (error: ServiceError) => {
        this.error = error
        this.events.push('error')
      })
      call.on('end', () => {
        this.events.push('end')
        this.#finish()
      })
      if (reading) this.read()
    }
  }

  /** The callback of a unary response; called by grpc-js. */
  readonly answered = (error: ServiceError | null, message?: TestMessage): void => {
    this.events.push('callback')
    if (error) this.error = error
    if (message !== undefined) {
      this.messages.push(message)
      this.#message.open()
    }
  }

  #finish(): void {
    const ended = !this.#reading || this.events.includes('end')
    if (this.status === undefined || !ended) return
    // Whatever comes after the last event is a fault, and must have its chance to be recorded.
    setImmediate(() => setImmediate(this.#done.open))
  }
}

/** Makes an RPC of any pattern and records what the application sees of it. */
export function startRpc(client: TestClient, pattern: TestPattern, settings: RpcSettings = {}): ClientRpc {
  const { requests, metadata = new Metadata(), options = {}, reading = true } = settings
  const rpc = new ClientRpc(pattern)
  const request = requests?.[0] ?? {}
  switch (pattern) {
    case 'unary':
      rpc.watch(client.unary(request, metadata, options, rpc.answered), reading)
      break
    case 'clientStream':
      rpc.watch(client.clientStream(metadata, options, rpc.answered), reading)
      break
    case 'serverStream':
      rpc.watch(client.serverStream(request, metadata, options), reading)
      break
    case 'bidi':
      rpc.watch(client.bidi(metadata, options), reading)
  }
  const { call } = rpc
  if (requests !== undefined && 'write' in call) {
    for (const message of requests) call.write(message)
    call.end()
  }
  return rpc
}

/** Makes an RPC of any pattern and waits for its end. */
export function runRpc(client: TestClient, pattern: TestPattern, settings: RpcSettings = {}): Promise<ClientRpc> {
  return startRpc(client, pattern, { requests: [{ text: 'hello', n: 3 }], ...settings }).done
}
