import { AsyncResource } from 'node:async_hooks'
import { context, diag, ROOT_CONTEXT, TraceFlags } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { SUPPRESSED } from './grpc-trace-bin.ts'

type ExportCallback = Parameters<SpanExporter['export']>[1]

/**
 * Counts the spans that are lost: those of exports that fail, and those for which there is no room in the SDK's queue while an
 * export takes its time. The SDK tells its `diag` logger alone. Exports run in the context that the exporter
 * was made in: the SDK starts the timer of a batch in the call whose span is the first, and a batch is of many calls. With the
 * storages of that one, an exporter would send its tenant's token, and a channel with `propagate()` would end by its deadline.
 */
export class WatchedExporter implements SpanExporter {
  lost = 0
  /** Stands in front of the processor whose exporter this is, and counts what that will drop (sdk-trace 2.12: BatchSpanProcessorBase). */
  readonly inFront: SpanProcessor
  /** Spans in the queue of the processor. */
  #queued = 0
  readonly #exporter: SpanExporter
  readonly #onLoss: (error: Error | undefined) => void
  readonly #scope = new AsyncResource('GRPC_STACK_EXPORT', { requireManualDestroy: true })

  constructor(exporter: SpanExporter, maxQueueSize: number, onLoss: (error: Error | undefined) => void) {
    this.#exporter = exporter
    this.#onLoss = onLoss
    const full = new Error(`more than ${maxQueueSize} spans waited for the collector`)
    this.inFront = {
      onStart: () => undefined,
      onEnd: (span) => {
        if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return
        if (this.#queued < maxQueueSize) this.#queued++
        else this.#lose(1, full)
      },
      forceFlush: async () => undefined,
      shutdown: async () => undefined,
    }
  }

  export(spans: ReadableSpan[], done: ExportCallback): void {
    this.#queued -= spans.length
    const watched: ExportCallback = (result) => {
      if (result.code !== SUCCESS) {
        this.#lose(spans.length, result.error)
        diag.error('startTracing: spans could not be exported', result.error)
      }
      // Told of a failure, the SDK would from then on start further exports beside the one under way, and keep the spans of all of
      // them (sdk-trace 2.12, BatchSpanProcessorBase: its catch() undoes what its finally() has begun).
      done({ code: SUCCESS })
    }
    try {
      this.#scope.runInAsyncScope(() => context.with(UNTRACED, () => this.#exporter.export(spans, watched)))
    } catch (error) {
      watched({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  #lose(count: number, error: Error | undefined): void {
    this.lost += count
    this.#onLoss(error)
  }

  async forceFlush(): Promise<void> {
    await this.#scope.runInAsyncScope(() => this.#exporter.forceFlush?.())
  }

  async shutdown(): Promise<void> {
    await this.#scope.runInAsyncScope(() => this.#exporter.shutdown())
  }
}

/** What the SDK exports in: an export makes no spans. */
const UNTRACED = ROOT_CONTEXT.setValue(SUPPRESSED, true)

// ExportResultCode of @opentelemetry/core, which the SDK does not export.
const SUCCESS = 0
const FAILED = 1
