import { context, propagation, SpanKind, trace } from '@opentelemetry/api'
import {
  NodeTracerProvider,
  type ReadableSpan,
  type Sampler,
  type Span,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-node'

/** A processor that keeps what a real SDK hands it, in order, and can be waited for. */
export class SpanLog implements SpanProcessor {
  readonly started: Span[] = []
  readonly ended: ReadableSpan[] = []
  #waiting: { readonly n: number; readonly resolve: () => void }[] = []

  onStart(span: Span): void {
    this.started.push(span)
  }

  onEnd(span: ReadableSpan): void {
    this.ended.push(span)
    for (const { n, resolve } of this.#waiting) if (this.ended.length >= n) resolve()
    this.#waiting = this.#waiting.filter(({ n }) => this.ended.length < n)
  }

  /** Resolves when this many spans have ended. */
  async count(n: number): Promise<readonly ReadableSpan[]> {
    if (this.ended.length < n) await new Promise<void>((resolve) => this.#waiting.push({ n, resolve }))
    return this.ended
  }

  get client(): ReadableSpan {
    return this.#only(SpanKind.CLIENT)
  }

  get server(): ReadableSpan {
    return this.#only(SpanKind.SERVER)
  }

  get attempts(): readonly ReadableSpan[] {
    return this.ended.filter(({ kind }) => kind === SpanKind.INTERNAL)
  }

  #only(kind: SpanKind): ReadableSpan {
    const spans = this.ended.filter((span) => span.kind === kind)
    if (spans.length !== 1) throw new Error(`expected one ${SpanKind[kind]} span, got ${spans.length}`)
    return spans[0] as ReadableSpan
  }

  clear(): void {
    this.started.length = 0
    this.ended.length = 0
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

/** Registers a real SDK for the whole process, as an application does, until the end of the test file. */
export function registerSdk(options: { readonly sampler?: Sampler } = {}): SpanLog {
  const log = new SpanLog()
  new NodeTracerProvider({ ...options, spanProcessors: [log] }).register()
  return log
}

/** Makes the process one without OpenTelemetry again. */
export function unregisterSdk(): void {
  trace.disable()
  context.disable()
  propagation.disable()
}
