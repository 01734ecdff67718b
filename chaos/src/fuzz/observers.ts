import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { type LogFields, type Logger, logging } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { until } from '../turns.ts'
import { isCode } from './layers.ts'

export type Side = 'client' | 'server'

/** The three packages that watch, with what they recorded kept in memory. */
export class Observers {
  readonly interceptors: Interceptor[]
  readonly #records: LogFields[] = []
  readonly #spans = new InMemorySpanExporter()
  readonly #recorder = inMemory()
  readonly #side: Side
  #ended = 0

  constructor(side: Side) {
    this.#side = side
    const keep = (fields: LogFields): void => void this.#records.push(fields)
    const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep }
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.#spans)] })
    this.interceptors = [
      tracing({ tracerProvider, propagator: new W3CTraceContextPropagator() }),
      metrics({ recorder: this.#recorder }),
      logging({ logger }),
    ]
  }

  /** Calls that have started and not ended, by the metrics. */
  get inFlight(): number {
    const { started, ended } = this.#totals()
    return started - ended
  }

  /** Waits for RPCs that have ended for the application and are about to for the interceptors. */
  async settle(): Promise<void> {
    await until(() => {
      const { started, ended } = this.#totals()
      return started === ended
    }, 3000)
  }

  /**
   * Takes what was recorded since the last time, and says where the three differ from each other and from the truth. A
   * server may see more RPCs than its handlers: those whose request cannot be read.
   */
  disagreements(rpcs: { readonly least: number; readonly most: number }, code: number | undefined): string[] {
    const records = this.#records.splice(0)
    const ended = this.#spans.getFinishedSpans()
    this.#spans.reset()
    // Attempts of a call that has several have spans of their own inside of the call's.
    const ids = new Set(ended.map((span) => span.spanContext().spanId))
    const spans = ended.filter(({ parentSpanContext }) => !ids.has(parentSpanContext?.spanId ?? '')).length
    const totals = this.#totals()
    const handled = totals.ended - this.#ended
    this.#ended = totals.ended
    const wrong: string[] = []
    const count = records.length
    if (count < rpcs.least || count > rpcs.most) {
      wrong.push(`${this.#side}: ${count} log records for ${rpcs.least} to ${rpcs.most} RPCs`)
    }
    if (spans !== count) wrong.push(`${this.#side}: ${count} log records, ${spans} ended spans`)
    if (handled !== count) wrong.push(`${this.#side}: ${count} log records, ${handled} handled in the metrics`)
    if (totals.started !== totals.ended) {
      wrong.push(`${this.#side}: metrics started ${totals.started} and handled ${totals.ended}`)
    }
    const codes = records.map((fields) => fields['grpc.code'])
    if (code !== undefined && isCode(code) && codes.some((recorded) => recorded !== codeName(code))) {
      wrong.push(`${this.#side}: the record says ${codes}, the application got ${codeName(code)}`)
    }
    return wrong
  }

  #totals(): { started: number; ended: number } {
    let started = 0
    let ended = 0
    for (const method of this.#recorder.snapshot({ side: this.#side }).methods) {
      started += method.started
      ended += method.ended
    }
    return { started, ended }
  }
}

/** Spans follow the context of the code that runs, as in an application with the OpenTelemetry SDK. */
export function keepTraceContext(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
}

const codeName = (code: number): string => Code[code] ?? String(code)
