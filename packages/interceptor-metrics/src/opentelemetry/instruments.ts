import type { Histogram, Meter, ObservableCounter } from '@opentelemetry/api'
import type { MeasuredMethod } from '../recorder.ts'

/** OpenTelemetry semantic conventions 1.45, docs/rpc/rpc-metrics.md. */
const RPC_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** gRFC A66, "Buckets for histogram instruments". */
const GRPC_SECONDS: readonly number[] = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013,
  0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10,
  20, 50, 100,
]
const GRPC_BYTES: readonly number[] = [
  0, 1024, 2048, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456, 1073741824, 4294967296,
]

/** gRFC A96. */
const RETRIES: readonly number[] = [1, 2, 3, 4, 5]

function histogram(
  meter: Meter,
  name: string,
  unit: string,
  description: string,
  bounds: readonly number[],
): Histogram {
  return meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: [...bounds] } })
}

/** The duration of calls by the semantic conventions. */
export function rpcDuration(meter: Meter, side: 'client' | 'server'): Histogram {
  const which = side === 'client' ? 'an outgoing' : 'an incoming'
  const description = `Measures the duration of ${which} Remote Procedure Call (RPC).`
  return histogram(meter, `rpc.${side}.call.duration`, 's', description, RPC_SECONDS)
}

/** What gRFC A66 measures of a call on a server, or an attempt on a client. */
export interface GrpcInstruments {
  readonly started: ObservableCounter
  readonly duration: Histogram
  readonly sent: Histogram
  readonly received: Histogram
}

export function grpcServerCall(meter: Meter): GrpcInstruments {
  return {
    started: meter.createObservableCounter('grpc.server.call.started', {
      unit: '{call}',
      description: 'The total number of RPCs started, including those that have not completed.',
    }),
    duration: histogram(
      meter,
      'grpc.server.call.duration',
      's',
      "The end-to-end time an RPC takes, from the server transport's perspective.",
      GRPC_SECONDS,
    ),
    ...sizes(meter, 'grpc.server.call', 'response', 'request', 'RPC'),
  }
}

export function grpcClientAttempt(meter: Meter): GrpcInstruments {
  return {
    started: meter.createObservableCounter('grpc.client.attempt.started', {
      unit: '{attempt}',
      description: 'The total number of RPC attempts started, including those that have not completed.',
    }),
    duration: histogram(
      meter,
      'grpc.client.attempt.duration',
      's',
      'End-to-end time taken to complete an RPC attempt including the time it takes to pick a subchannel.',
      GRPC_SECONDS,
    ),
    ...sizes(meter, 'grpc.client.attempt', 'request', 'response', 'RPC attempt'),
  }
}

function sizes(
  meter: Meter,
  prefix: string,
  out: string,
  back: string,
  what: string,
): Pick<GrpcInstruments, 'sent' | 'received'> {
  const bytes = (direction: 'sent' | 'rcvd', verb: string, messages: string): Histogram =>
    histogram(
      meter,
      `${prefix}.${direction}_total_compressed_message_size`,
      'By',
      `Total bytes ${verb} across all ${messages} messages per ${what}.`,
      GRPC_BYTES,
    )
  return { sent: bytes('sent', 'sent', out), received: bytes('rcvd', 'received', back) }
}

/** The duration of whole calls on a client, gRFC A66. */
export function grpcClientCall(meter: Meter): Histogram {
  return histogram(
    meter,
    'grpc.client.call.duration',
    's',
    "The end-to-end time the gRPC library takes to complete an RPC from the application's perspective.",
    GRPC_SECONDS,
  )
}

/** gRFC A96. Transparent retries happen inside grpc-js, where no interceptor sees them. */
export interface RetryInstruments {
  readonly retries: Histogram
  readonly hedges: Histogram
  readonly delay: Histogram
}

export function grpcRetries(meter: Meter): RetryInstruments {
  return {
    retries: histogram(
      meter,
      'grpc.client.call.retries',
      '{retry}',
      'Number of retries during the client call. If there were no retries, 0 is not reported.',
      RETRIES,
    ),
    hedges: histogram(
      meter,
      'grpc.client.call.hedges',
      '{hedge}',
      'Number of hedges during the client call. If there were no hedges, 0 is not reported.',
      RETRIES,
    ),
    delay: histogram(
      meter,
      'grpc.client.call.retry_delay',
      's',
      'Total time of delay while there is no active attempt during the client call.',
      GRPC_SECONDS,
    ),
  }
}

/** Which sets of names are wanted: the options of `openTelemetry()`. */
interface Wanted {
  readonly rpc: boolean
  readonly grpc: boolean
  readonly retries: boolean
}

/** The instruments, each made when the first method needs it: a server does not announce those of clients. */
export class Instruments {
  readonly #meter: Meter
  readonly #wanted: Wanted
  readonly #made = new Map<string, unknown>()

  constructor(meter: Meter, wanted: Wanted) {
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
