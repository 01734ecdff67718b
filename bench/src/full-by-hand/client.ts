import { Client, status as Code, Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js'
import { context, propagation } from '@opentelemetry/api'
import { channelOptions, clientCredentials } from '../endpoint.ts'
import { Echo, type EchoMethod, type Payload } from '../service.ts'
import { intoMetadata, type Sinks } from '../telemetry.ts'
import { Circuit } from './circuit.ts'
import { Families } from './families.ts'
import { Recorded } from './recorded.ts'
import { Retries } from './retries.ts'

const MOST_KEPT_BYTES = 1024 * 1024
const MOST_KEPT_MESSAGES = 1000

/** What the caller of a method may set. */
export interface Settings {
  readonly metadata?: Metadata
  /** Epoch milliseconds. */
  readonly deadline?: number
}

/** What a caller hears of a stream. */
export interface Heard {
  data?(message: Payload): void
  drain?(): void
  done(error: Error | null): void
}

/** A client of the echo service with everything that the full stack does. */
export class EchoByHand {
  readonly #address: string
  readonly #client: Client
  readonly #token: string
  readonly #sinks: { readonly families: Families; readonly logger: Sinks['logger'] }
  readonly #circuit = new Circuit()
  readonly #retries = new Retries()

  constructor(address: string, token: string, { logger, registry }: Sinks) {
    this.#address = address
    this.#client = new Client(address, clientCredentials(), channelOptions)
    this.#token = token
    this.#sinks = { families: new Families('client', registry()), logger }
  }

  unary(name: EchoMethod, message: Payload, settings: Settings = {}): Promise<Payload> {
    return new Promise((resolve, reject) => {
      const rpc = this.#begin(name)
      const { path, requestSerialize, responseDeserialize } = Echo[name]
      const { deadline = Number.POSITIVE_INFINITY } = settings
      const attempt = (number: number): void => {
        const permit = this.#circuit.enter()
        if (permit === undefined) {
          reject(this.#refuse(rpc, number))
          return
        }
        let committed = false
        const answered = (error: ServiceError | null, value?: Payload): void => {
          const code = error?.code ?? Code.OK
          this.#circuit.record(permit, code)
          const waitMs =
            error === null || committed ? undefined : this.#retries.waitMs(code, error.metadata, number, deadline)
          if (waitMs !== undefined) {
            setTimeout(attempt, waitMs, number + 1)
            return
          }
          rpc.sent = 1
          if (error === null) rpc.received = 1
          rpc.end({ code, details: error?.details ?? '', peer: made.getPeer(), attempts: number })
          if (error === null) resolve(value as Payload)
          else reject(error)
        }
        const metadata = this.#outgoing(rpc, settings, number)
        const made = this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          message,
          metadata,
          { deadline },
          answered,
        )
        made.on('metadata', () => {
          committed = true
        })
      }
      context.with(rpc.inside, attempt, undefined, 1)
    })
  }

  /**
   * A stream, tried again as long as no response headers have come and what was sent is kept.
   * @param request of a method with a single one
   */
  stream(name: EchoMethod, heard: Heard, request: Payload, settings: Settings = {}): RetriedStream {
    const rpc = this.#begin(name)
    const { requestStream, responseStream, requestSerialize } = Echo[name]
    const stream = new RetriedStream(rpc, requestSerialize)
    if (!requestStream) rpc.sent = 1
    const { deadline = Number.POSITIVE_INFINITY } = settings
    const attempt = (number: number): void => {
      const permit = this.#circuit.enter()
      if (permit === undefined) {
        heard.done(this.#refuse(rpc, number))
        return
      }
      let over = false
      const made = open(this.#client, name, request, this.#outgoing(rpc, settings, number), deadline)
      made.on('metadata', () => stream.commit())
      made.on('data', (message: Payload) => {
        rpc.received++
        heard.data?.(message)
      })
      made.on('drain', () => heard.drain?.())
      made.on('error', () => undefined)
      made.on('status', ({ code, details, metadata }: StatusObject) => {
        over = true
        this.#circuit.record(permit, code)
        const waitMs = stream.committed ? undefined : this.#retries.waitMs(code, metadata, number, deadline)
        if (waitMs !== undefined) {
          setTimeout(attempt, waitMs, number + 1)
          return
        }
        stream.commit()
        if (code === Code.OK && !responseStream) rpc.received = 1
        rpc.end({ code, details, peer: made.getPeer(), attempts: number })
        if (code !== Code.OK) heard.done(new Error(details))
        // The last messages of a readable stream are still on their way to the caller.
        else if (!responseStream) heard.done(null)
      })
      made.on('end', () => {
        if (!over || stream.committed) heard.done(null)
      })
      stream.sendTo(made)
    }
    context.with(rpc.inside, attempt, undefined, 1)
    return stream
  }

  close(): void {
    this.#client.close()
  }

  #begin(name: EchoMethod): Recorded {
    const rpc = new Recorded('client', name, this.#sinks, this.#address, context.active())
    rpc.hide(this.#token)
    this.#retries.started()
    return rpc
  }

  /** The caller's metadata stay as they are. A token of the caller's own wins. */
  #outgoing(rpc: Recorded, { metadata: given }: Settings, attempt: number): Metadata {
    const metadata = given === undefined ? new Metadata() : given.clone()
    propagation.inject(rpc.inside, metadata, intoMetadata)
    if (metadata.get('authorization').length === 0) metadata.set('authorization', `Bearer ${this.#token}`)
    if (attempt > 1) metadata.set('grpc-previous-rpc-attempts', String(attempt - 1))
    return metadata
  }

  #refuse(rpc: Recorded, attempt: number): Error {
    const details = 'circuit open'
    const peer = this.#address
    rpc.end({ code: Code.UNAVAILABLE, details, peer, refusedBy: 'circuitBreaker', attempts: attempt - 1 })
    return Object.assign(new Error(details), { code: Code.UNAVAILABLE, details })
  }
}

/** The events and methods that streams of grpc-js have in common. */
interface Made extends NodeJS.EventEmitter {
  getPeer(): string
  write?(bytes: Buffer): boolean
  end?(): void
}

const asItIs = (bytes: Buffer): Buffer => bytes

function open(client: Client, name: EchoMethod, request: Payload, metadata: Metadata, deadline: number): Made {
  const { path, requestStream, responseStream, requestSerialize, responseDeserialize } = Echo[name]
  const options = { deadline }
  if (!requestStream) {
    return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata, options)
  }
  return responseStream
    ? client.makeBidiStreamRequest(path, asItIs, responseDeserialize, metadata, options)
    : client.makeClientStreamRequest(path, asItIs, responseDeserialize, metadata, options, () => undefined)
}

/** Requests on their way to one attempt after the other. Each message is serialized once. */
class RetriedStream {
  readonly #rpc: Recorded
  readonly #serialize: (message: Payload) => Buffer
  #made: Made | undefined
  #kept: Buffer[] = []
  #keptBytes = 0
  #ended = false
  /** There is no further attempt. */
  committed = false

  constructor(rpc: Recorded, serialize: (message: Payload) => Buffer) {
    this.#rpc = rpc
    this.#serialize = serialize
  }

  /** Whether there is room for more. */
  write(message: Payload): boolean {
    const bytes = this.#serialize(message)
    this.#rpc.sent++
    if (!this.committed) this.#keep(bytes)
    return this.#made?.write?.(bytes) ?? false
  }

  end(): void {
    this.#ended = true
    this.#made?.end?.()
  }

  sendTo(made: Made): void {
    this.#made = made
    for (const bytes of this.#kept) made.write?.(bytes)
    if (this.#ended) made.end?.()
  }

  commit(): void {
    this.committed = true
    this.#kept = []
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    if (this.#kept.length > MOST_KEPT_MESSAGES || this.#keptBytes > MOST_KEPT_BYTES) this.commit()
  }
}
