import type { Call, Status } from '@grpc-stack/grpc-core'
import { spanOf } from '@grpc-stack/grpc-core/authoring'

/** Labels that lead from a figure to an example of it, such as `{ trace_id }`. */
export type ExemplarLabels = Readonly<Record<string, string>>

/** Chooses the exemplar of a call, when it starts. Undefined for none. */
export type ExemplarOf = (call: Call) => ExemplarLabels | undefined

/** An exemplar as prom-client writes it. */
export interface Exemplar {
  readonly labelSet: ExemplarLabels
  readonly value: number
  /** Unix time, seconds. */
  readonly timestamp: number
}

// W3C Trace Context, of a trace that is recorded (flag 01): others lead nowhere.
const SAMPLED_TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f][13579bdf](?:$|-)/

const SAMPLED = 1

/** The span that `tracing()` made for the call, else the trace of its `traceparent`, if it is sampled. */
export const traceOfCall: ExemplarOf = (call) => {
  const span = spanOf(call)?.spanContext()
  if (span !== undefined) return (span.traceFlags & SAMPLED) === 0 ? undefined : { trace_id: span.traceId }
  const [traceparent] = call.metadata.get('traceparent')
  const traceId = typeof traceparent === 'string' ? SAMPLED_TRACEPARENT.exec(traceparent)?.[1] : undefined
  return traceId === undefined ? undefined : { trace_id: traceId }
}

/**
 * OpenMetrics allows 128 characters, names and values together.
 * @throws TypeError for labels a scraper would refuse, and with them the whole page.
 */
export function checkExemplar(labels: ExemplarLabels): ExemplarLabels {
  let length = 0
  for (const [name, value] of Object.entries(labels)) {
    if (!/^[a-zA-Z_]\w*$/.test(name) || typeof value !== 'string') {
      throw new TypeError(`prometheus: the exemplar label ${JSON.stringify(name)} is no label with a text`)
    }
    length += name.length + [...value].length
  }
  if (length > 128) throw new TypeError(`prometheus: an exemplar has at most 128 characters, this one has ${length}`)
  return labels
}

/** The exemplars of one method, by code and by bucket of the latency histogram: the latest of each. */
export class Exemplars {
  readonly #of: ExemplarOf
  readonly #calls = new WeakMap<Call, ExemplarLabels>()
  readonly byCode: (Exemplar | undefined)[] = []
  readonly byBucket: (Exemplar | undefined)[] = []

  constructor(of: ExemplarOf) {
    this.#of = of
  }

  started(call: Call): void {
    const labels = this.#of(call)
    if (labels !== undefined) this.#calls.set(call, checkExemplar(labels))
  }

  ended(call: Call, status: Status, seconds: number, bucket: number): void {
    const labelSet = this.#calls.get(call)
    if (labelSet === undefined) return
    const timestamp = Date.now() / 1000
    this.byCode[status.code] = { labelSet, value: 1, timestamp }
    this.byBucket[bucket] = { labelSet, value: seconds, timestamp }
  }
}
