import type { Call, ClientCall, Status } from '@grpc-stack/grpc-core'
import type { Attributes, Histogram } from '@opentelemetry/api'
import type { MeasuredMethod, MessageSizes, MethodRecorder } from '../recorder.ts'
import { codeIndex, codeNames } from '../series/code-names.ts'
import type { GrpcInstruments, Instruments, RetryInstruments } from './instruments.ts'
import { readTarget } from './target.ts'

/** Whether an ending is an error to a side. */
export type IsError = (code: number, side: 'client' | 'server') => boolean

/** How long interceptor-retry has waited; it notes that on a call it repeats. Observers find it under this symbol without the package. */
interface Retried {
  readonly [RETRY_REPORT]?: { readonly backoffMs: number }
}
const RETRY_REPORT: unique symbol = Symbol.for('grpc-stack.retry')

/**
 * Records one method. The SDK turns the attributes of every `record()` into a key; it gets the same frozen object for the
 * same method and code, and counters are plain numbers until the SDK asks for them.
 */
export class OpenTelemetryMethod implements MethodRecorder {
  readonly #method: MeasuredMethod
  readonly #isError: IsError
  readonly #rpc: Histogram | undefined
  readonly #clientCall: Histogram | undefined
  readonly #attempt: GrpcInstruments | undefined
  readonly #retries: RetryInstruments | undefined
  readonly #grpcAttributes: Attributes
  readonly #rpcByCode: Attributes[] = []
  readonly #grpcByCode: Attributes[] = []
  /** Of a client's calls whose target was not known when they started. */
  readonly #ofTarget: ((target: string) => OpenTelemetryMethod) | undefined
  #started = 0

  constructor(
    method: MeasuredMethod,
    instruments: Instruments,
    isError: IsError,
    ofTarget: (target: string) => OpenTelemetryMethod,
  ) {
    this.#method = method
    this.#isError = isError
    if (method.side === 'client' && method.target === undefined && method.path !== 'other') this.#ofTarget = ofTarget
    this.#rpc = instruments.rpcDuration(method)
    this.#clientCall = instruments.grpcClientCall(method)
    this.#attempt = instruments.grpcAttempt(method)
    this.#retries = instruments.retries(method)
    this.#grpcAttributes = grpcAttributes(method)
    this.#attempt?.started.addCallback((result) => {
      if (this.#started > 0) result.observe(this.#started, this.#grpcAttributes)
    })
  }

  started(_call: Call): void {
    this.#started++
  }

  ended(call: Call, status: Status, durationMs: number, sizes: MessageSizes | undefined): void {
    // A stub with a channel of its own tells where it goes only once an attempt has begun.
    const target = this.#ofTarget && (call as ClientCall).target
    const measured = target === undefined ? this : (this.#ofTarget?.(target) ?? this)
    measured.#record(call, status, durationMs, sizes)
  }

  #record(call: Call, status: Status, durationMs: number, sizes: MessageSizes | undefined): void {
    const seconds = durationMs / 1000
    const code = codeIndex(status.code)
    this.#rpc?.record(seconds, this.#rpcAttributesOf(code))
    if (this.#clientCall !== undefined || this.#attempt !== undefined) {
      const attributes = this.#grpcAttributesOf(code)
      this.#clientCall?.record(seconds, attributes)
      this.#attempt?.duration.record(seconds, attributes)
      if (sizes !== undefined) {
        this.#attempt?.sent.record(sizes.sent, attributes)
        this.#attempt?.received.record(sizes.received, attributes)
      }
    }
    if (this.#retries !== undefined) this.#recordRetries(this.#retries, call, status)
  }

  #recordRetries(instruments: RetryInstruments, call: Call, status: Status): void {
    const { attempts = 1, hedges = 0 } = status
    const retries = attempts - 1 - hedges
    if (retries > 0) instruments.retries.record(retries, this.#grpcAttributes)
    if (hedges > 0) instruments.hedges.record(hedges, this.#grpcAttributes)
    instruments.delay.record(((call as Retried)[RETRY_REPORT]?.backoffMs ?? 0) / 1000, this.#grpcAttributes)
  }

  #rpcAttributesOf(code: number): Attributes {
    let attributes = this.#rpcByCode[code]
    if (attributes === undefined) {
      const name = codeNames[code] as string
      const error = this.#isError(code, this.#method.side)
      attributes = Object.freeze({
        ...rpcAttributes(this.#method),
        'rpc.status_code': name,
        ...(error && { 'error.type': name }),
      })
      this.#rpcByCode[code] = attributes
    }
    return attributes
  }

  #grpcAttributesOf(code: number): Attributes {
    let attributes = this.#grpcByCode[code]
    if (attributes === undefined) {
      attributes = Object.freeze({ ...this.#grpcAttributes, 'grpc.status': codeNames[code] as string })
      this.#grpcByCode[code] = attributes
    }
    return attributes
  }
}

function rpcAttributes({ path, target }: MeasuredMethod): Attributes {
  const server = target === undefined ? undefined : readTarget(target)
  return {
    'rpc.system.name': 'grpc',
    'rpc.method': path === 'other' ? '_OTHER' : withoutSlash(path),
    ...(server !== undefined && { 'server.address': server.address }),
    ...(server?.port !== undefined && { 'server.port': server.port }),
  }
}

function grpcAttributes({ side, path, target }: MeasuredMethod): Attributes {
  return Object.freeze({
    'grpc.method': path === 'other' ? 'other' : withoutSlash(path),
    ...(side === 'client' && target !== undefined && { 'grpc.target': readTarget(target).uri }),
  })
}

function withoutSlash(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path
}
