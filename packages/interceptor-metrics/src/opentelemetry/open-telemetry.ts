import { contain, flag, func, type OptionTable, objectWith, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { metrics as globalMetrics, type MeterProvider } from '@opentelemetry/api'
import type { Recorder } from '../recorder.ts'
import { codeIndex, codeNames } from '../series/code-names.ts'
import { MethodTable } from '../series/method-table.ts'
import { maxMethods } from '../series/recorder-options.ts'
import { Instruments } from './instruments.ts'
import { type IsError, OpenTelemetryMethod } from './method.ts'

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

const table = {
  meterProvider: objectWith<MeterProvider>('getMeter').expecting('a MeterProvider').optional(),
  rpc: flag().default(true),
  grpc: flag().default(true),
  retries: flag().default(false),
  isError: func<IsError>().optional(),
  maxMethods,
} satisfies OptionTable<OpenTelemetryOptions>

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
  const { meterProvider, isError, maxMethods, ...wanted } = readOptions('openTelemetry', options, table, {
    show: quoted,
  })
  const judge = isError === undefined ? isErrorByConvention : contained(isError)
  let instruments: Instruments | undefined
  const methods: MethodTable<OpenTelemetryMethod> = new MethodTable(maxMethods, true, (method) => {
    instruments ??= new Instruments((meterProvider ?? globalMetrics.getMeterProvider()).getMeter(METER), wanted)
    const ofTarget = (target: string): OpenTelemetryMethod => methods.get({ ...method, target })
    return new OpenTelemetryMethod(method, instruments, judge, ofTarget)
  })
  return { method: (method) => methods.get(method) }
}

const METER = '@grpc-stack/interceptor-metrics'

function isErrorByConvention(code: number, side: 'client' | 'server'): boolean {
  return side === 'client' ? code !== 0 : SERVER_ERRORS.has(codeNames[codeIndex(code)] as string)
}

/** What the application says, or the conventions where it throws or says neither true nor false. */
function contained(isError: IsError): IsError {
  const containment = contain('openTelemetry', { code: 'GRPC_STACK_OBSERVER' })
  return (code, side) => {
    const said = containment.run('isError', () => {
      const answer: unknown = isError(code, side)
      if (typeof answer !== 'boolean') throw new TypeError(`it must return true or false, got ${quoted(answer)}`)
      return answer
    })
    return said ?? isErrorByConvention(code, side)
  }
}
