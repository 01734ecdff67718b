import { AsyncResource } from 'node:async_hooks'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-node'
import { SUPPRESSED } from './grpc-trace-bin.ts'

type ExportCallback = Parameters<SpanExporter['export']>[1]

/**
 * Counts the spans an exporter loses, which the SDK tells its `diag` logger alone. Exports run in the context that the exporter
 * was made in: the SDK starts the timer of a batch in the call whose span is the first, and a batch is of many calls. With the
 * storages of that one, an exporter would send its tenant's token, and a channel with `propagate()` would end by its deadline.
 */
export class WatchedExporter implements SpanExporter {
  lost = 0
  readonly #exporter: SpanExporter
  readonly #onLoss: (error: Error | undefined) => void
  readonly #scope = new AsyncResource('GRPC_STACK_EXPORT', { requireManualDestroy: true })

  constructor(exporter: SpanExporter, onLoss: (error: Error | undefined) => void) {
    this.#exporter = exporter
    this.#onLoss = onLoss
  }

  export(spans: ReadableSpan[], done: ExportCallback): void {
    const watched: ExportCallback = (result) => {
      if (result.code !== SUCCESS) this.#lose(spans, result.error)
      done(result)
    }
    try {
      this.#scope.runInAsyncScope(() => context.with(UNTRACED, () => this.#exporter.export(spans, watched)))
    } catch (error) {
      watched({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  #lose(spans: readonly ReadableSpan[], error: Error | undefined): void {
    this.lost += spans.length
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
