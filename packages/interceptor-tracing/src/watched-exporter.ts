import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-node'

type ExportCallback = Parameters<SpanExporter['export']>[1]

/** Counts the spans an exporter loses. The SDK keeps that to itself where nobody set a `diag` logger. */
export class WatchedExporter implements SpanExporter {
  lost = 0
  readonly #exporter: SpanExporter
  readonly #onLoss: (error: Error | undefined) => void

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
      this.#exporter.export(spans, watched)
    } catch (error) {
      watched({ code: FAILED, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  #lose(spans: readonly ReadableSpan[], error: Error | undefined): void {
    this.lost += spans.length
    this.#onLoss(error)
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.()
  }

  async shutdown(): Promise<void> {
    await this.#exporter.shutdown()
  }
}

// ExportResultCode of @opentelemetry/core, which the SDK does not export.
const SUCCESS = 0
const FAILED = 1
