import { status as Code } from '@grpc/grpc-js'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { Echo, type EchoMethod } from '../service.ts'

export type MethodLabels = Record<(typeof LABELS)[number], string>

const LABELS = ['grpc_type', 'grpc_service', 'grpc_method'] as const

const SERVICE = 'bench.v1.Echo'
const TYPES: Partial<Record<EchoMethod, string>> = {
  serverStream: 'server_stream',
  clientStream: 'client_stream',
  bidi: 'bidi_stream',
}

/** `NotFound`, as Go writes it and dashboards expect it. */
export const goCodeNames: readonly string[] = Array.from({ length: 17 }, (_, code) =>
  code === Code.OK
    ? 'OK'
    : (Code[code] as string)
        .split('_')
        .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
        .join(''),
)

/** The Prometheus metrics of one side, by the names of go-grpc-prometheus. */
export class Families {
  readonly started: Counter
  readonly handled: Counter
  readonly received: Counter
  readonly sent: Counter
  readonly refused: Counter
  readonly inFlight: Gauge
  readonly seconds: Histogram
  readonly #labels = new Map<EchoMethod, MethodLabels>()

  constructor(side: 'client' | 'server', registry: Registry) {
    const registers = [registry]
    const counter = (what: string, more: readonly string[] = []): Counter =>
      new Counter({ name: `grpc_${side}_${what}_total`, help: what, registers, labelNames: [...LABELS, ...more] })
    this.started = counter('started')
    this.handled = counter('handled', ['grpc_code'])
    this.received = counter('msg_received')
    this.sent = counter('msg_sent')
    this.refused = counter('refused', ['interceptor'])
    this.inFlight = new Gauge({ name: `grpc_${side}_in_flight`, help: 'in flight', registers, labelNames: [...LABELS] })
    const name = `grpc_${side}_handling_seconds`
    this.seconds = new Histogram({ name, help: 'seconds', registers, labelNames: [...LABELS] })
  }

  /** The labels of a method. With the first call of it, what is counted of messages is there at zero. */
  of(name: EchoMethod): MethodLabels {
    let labels = this.#labels.get(name)
    if (labels === undefined) {
      const grpc_method = Echo[name].path.slice(`/${SERVICE}/`.length)
      labels = { grpc_type: TYPES[name] ?? 'unary', grpc_service: SERVICE, grpc_method }
      this.#labels.set(name, labels)
      this.sent.inc(labels, 0)
      this.received.inc(labels, 0)
    }
    return labels
  }
}
