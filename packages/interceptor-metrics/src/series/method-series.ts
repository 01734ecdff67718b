import type { Call, Status } from '@grpc-stack/grpc-core'
import type { MeasuredMethod, MessageSizes, MethodRecorder } from '../recorder.ts'
import { codeIndex } from './code-names.ts'
import { Histogram } from './histogram.ts'

const CODES = 17

/**
 * The figures of one method, as plain numbers in place: recording an RPC hashes nothing and looks nothing up. Recorders
 * give them their names when they are read.
 */
export class MethodSeries implements MethodRecorder {
  readonly method: MeasuredMethod
  readonly #boundsMs: readonly number[]
  startedCount = 0
  endedCount = 0
  inFlight = 0
  sentCount = 0
  receivedCount = 0
  /** Latencies in ms by code; undefined for codes that have not occurred. */
  readonly codes: (Histogram | undefined)[] = new Array<Histogram | undefined>(CODES).fill(undefined)
  /** By the name of the interceptor that refused. */
  readonly refusals: Map<string, number> = new Map()

  constructor(method: MeasuredMethod, boundsMs: readonly number[]) {
    this.method = method
    this.#boundsMs = boundsMs
  }

  started(_call: Call): void {
    this.startedCount++
    this.inFlight++
  }

  ended(_call: Call, status: Status, durationMs: number, _sizes: MessageSizes | undefined): void {
    this.observe(status, durationMs)
  }

  sent(): void {
    this.sentCount++
  }

  received(): void {
    this.receivedCount++
  }

  /** All codes together. */
  total(): Histogram {
    const all = new Histogram(this.#boundsMs)
    for (const latency of this.codes) if (latency !== undefined) all.add(latency)
    return all
  }

  /** From zero again, but for what is in progress. */
  reset(): void {
    this.startedCount = this.endedCount = this.sentCount = this.receivedCount = 0
    this.codes.fill(undefined)
    this.refusals.clear()
  }

  /** Makes the series of every code exist, at zero. */
  zero(): void {
    for (let code = 0; code < CODES; code++) this.#latencyOf(code)
  }

  /** @returns the index of the bucket the latency went to */
  protected observe({ code, refusedBy }: Status, durationMs: number): number {
    this.endedCount++
    this.inFlight--
    if (refusedBy !== undefined) this.refusals.set(refusedBy, (this.refusals.get(refusedBy) ?? 0) + 1)
    return this.#latencyOf(codeIndex(code)).observe(durationMs)
  }

  #latencyOf(code: number): Histogram {
    let latency = this.codes[code]
    if (latency === undefined) {
      latency = new Histogram(this.#boundsMs)
      this.codes[code] = latency
    }
    return latency
  }
}
