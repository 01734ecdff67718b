import type { Call, ClientCall, Status } from '@grpc-stack/grpc-core'
import {
  type Attributes,
  metrics as globalMetrics,
  type Histogram,
  type Meter,
  type MeterProvider,
} from '@opentelemetry/api'
import { codeIndex, codeNames } from './code-names.ts'
import { MAX_METHODS, MethodTable } from './method-table.ts'
import {
  type GrpcInstruments,
  grpcClientAttempt,
  grpcClientCall,
  grpcRetries,
  grpcServerCall,
  type RetryInstruments,
  rpcDuration,
} from './opentelemetry-instruments.ts'
import { checkLimit, checkNames, fail } from './options.ts'
import type { MeasuredMethod, MessageSizes, MethodRecorder, Recorder } from './recorder.ts'
import { readTarget } from './target.ts'

export interface OpenTelemetryOptions {
  /** Default: the global one, as it is when the first RPC is made, so that the SDK may be started after this. */
  readonly meterProvider?: MeterProvider
  /** `rpc.server.call.duration` and `rpc.client.call.duration` of the semantic conventions. Default: true. */
  readonly rpc?: boolean
  /** `grpc.server.call.*`, `grpc.client.call.duration` and `grpc.client.attempt.*` of gRFC A66. Default: true. */
  readonly grpc?: boolean
  /** `grpc.client.call.retries`, `.hedges` and `.retry_delay` of gRFC A96, experimental there. Default: false. */
  readonly retries?: boolean
  /**
   * Whether an ending is an error, and gets `error.type`. Default, by the semantic conventions: to a client every code but
   * OK; to a server those that are its own fault (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS).
   */
  readonly isError?: (code: number, side: 'client' | 'server') => boolean
  /** How many methods, of one target each, are told apart before the rest are `other`. Default: 1000. */
  readonly maxMethods?: number
}

/** Which code is a server's own fault (semantic conventions 1.45, docs/rpc/grpc.md). */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
])

/**
 * Records by OpenTelemetry's metrics API, under the names of the semantic conventions and of gRPC itself (gRFC A66, A96).
 *
 *     const recorder = openTelemetry({ meterProvider })
 *     createServer({ interceptors: [metrics({ recorder })] })
 *
 * What gRPC measures per attempt needs a second interceptor inside of `retry()`: `metrics({ recorder, per: 'attempt' })`.
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Recorder {
  checkNames('openTelemetry', options, ['meterProvider', 'rpc', 'grpc', 'retries', 'isError', 'maxMethods'])
  const { meterProvider, isError = isErrorByConvention, maxMethods = MAX_METHODS } = options
  const { rpc = true, grpc = true, retries = false } = options
  if (meterProvider !== undefined && typeof meterProvider?.getMeter !== 'function') {
    fail('openTelemetry: option "meterProvider"', 'a MeterProvider', meterProvider)
  }
  for (const [name, value] of Object.entries({ rpc, grpc, retries })) {
    if (typeof value !== 'boolean') fail(`openTelemetry: option "${name}"`, 'true or false', value)
  }
  if (typeof isError !== 'function') fail('openTelemetry: option "isError"', 'a function', isError)
  checkLimit('openTelemetry: option "maxMethods"', maxMethods)

  let instruments: Instruments | undefined
  const table: MethodTable<OpenTelemetryMethod> = new MethodTable(maxMethods, true, (method) => {
    instruments ??= new Instruments((meterProvider ?? globalMetrics.getMeterProvider()).getMeter(METER), {
      rpc,
      grpc,
      retries,
    })
    const ofTarget = (target: string): OpenTelemetryMethod => table.get({ ...method, target })
    return new OpenTelemetryMethod(method, instruments, isError, ofTarget)
  })
  return { method: (method) => table.get(method) }
}

const METER = '@grpc-stack/interceptor-metrics'

function isErrorByConvention(code: number, side: 'client' | 'server'): boolean {
  return side === 'client' ? code !== 0 : SERVER_ERRORS.has(codeNames[codeIndex(code)] as string)
}

/** The instruments, each made when the first method needs it: a server does not announce those of clients. */
class Instruments {
  readonly #meter: Meter
  readonly #wanted: { readonly rpc: boolean; readonly grpc: boolean; readonly retries: boolean }
  readonly #made = new Map<string, unknown>()

  constructor(meter: Meter, wanted: { readonly rpc: boolean; readonly grpc: boolean; readonly retries: boolean }) {
    this.#meter = meter
    this.#wanted = wanted
  }

  rpcDuration({ side, per }: MeasuredMethod): Histogram | undefined {
    // The conventions know calls only.
    if (!this.#wanted.rpc || per === 'attempt') return undefined
    return this.#once(`rpc ${side}`, () => rpcDuration(this.#meter, side))
  }

  grpcClientCall({ side, per }: MeasuredMethod): Histogram | undefined {
    if (!this.#wanted.grpc || side === 'server' || per === 'attempt') return undefined
    return this.#once('grpc client call', () => grpcClientCall(this.#meter))
  }

  grpcAttempt({ side, per }: MeasuredMethod): GrpcInstruments | undefined {
    if (!this.#wanted.grpc) return undefined
    if (side === 'server') return this.#once('grpc server call', () => grpcServerCall(this.#meter))
    return per === 'attempt' ? this.#once('grpc client attempt', () => grpcClientAttempt(this.#meter)) : undefined
  }

  retries({ side, per }: MeasuredMethod): RetryInstruments | undefined {
    if (!this.#wanted.retries || side === 'server' || per === 'attempt') return undefined
    return this.#once('retries', () => grpcRetries(this.#meter))
  }

  #once<T>(name: string, make: () => T): T {
    const made = (this.#made.get(name) as T | undefined) ?? make()
    this.#made.set(name, made)
    return made
  }
}

/** What interceptor-retry notes on a call it repeats; observers find it under this symbol without knowing the package. */
interface Retried {
  readonly [RETRY_REPORT]?: { readonly attempts: number; readonly hedges: number; readonly backoffMs: number }
}
const RETRY_REPORT: unique symbol = Symbol.for('grpc-stack.retry')

/**
 * Records one method. The SDK turns the attributes of every `record()` into a key; it gets the same frozen object for the
 * same method and code, and counters are plain numbers until the SDK asks for them.
 */
class OpenTelemetryMethod implements MethodRecorder {
  readonly #method: MeasuredMethod
  readonly #isError: (code: number, side: 'client' | 'server') => boolean
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
    isError: (code: number, side: 'client' | 'server') => boolean,
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
    const report = (call as Retried)[RETRY_REPORT]
    const attempts = report?.attempts ?? status.attempts ?? 1
    const hedges = report?.hedges ?? 0
    const retries = attempts - 1 - hedges
    if (retries > 0) instruments.retries.record(retries, this.#grpcAttributes)
    if (hedges > 0) instruments.hedges.record(hedges, this.#grpcAttributes)
    instruments.delay.record((report?.backoffMs ?? 0) / 1000, this.#grpcAttributes)
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
