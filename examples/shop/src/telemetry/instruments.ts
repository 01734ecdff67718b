import type { Interceptor } from '@grpc-stack/grpc-core'
import { logging, requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { trace } from '@opentelemetry/api'
import type { EventFact, Place, Report } from './facts.ts'
import { startOpenTelemetry } from './open-telemetry.ts'
import { reportingLogger } from './reporting-logger.ts'
import { windowRecorder } from './window-recorder.ts'

const PULSE_MS = 250

/** What observes the RPCs of a process. */
export interface Instruments {
  /**
   * What every stack of the shop begins with, on both sides. What stands outermost sees what the rest refuses, and sees
   * a retried call as one.
   */
  readonly observers: Interceptor[]
  /** Tells what an interceptor told its listeners. */
  event(from: EventFact['from'], name: string, detail: EventFact['detail']): void
  /** Asks an interceptor about itself with each pulse. */
  gauge(name: string, read: () => unknown): void
  /** Tells what a stack is made of. */
  stack(name: string, interceptors: readonly unknown[]): void
  stop(): Promise<void>
}

export async function startInstruments(place: Place, report: Report): Promise<Instruments> {
  const openTelemetry = await startOpenTelemetry(place, report)
  const recorder = windowRecorder()
  const gauges = new Map<string, () => unknown>()

  const stacks: Record<string, string[]> = {}
  gauges.set('stacks', () => stacks)

  const pulse = (): void => {
    const values = Object.fromEntries([...gauges].map(([name, read]) => [name, read()]))
    const memoryBytes = process.memoryUsage.rss()
    report({ type: 'pulse', pulse: { at: Date.now(), methods: recorder.take(), gauges: values, memoryBytes } })
  }
  const timer = setInterval(pulse, PULSE_MS).unref()

  return {
    observers: [
      requestId(),
      tracing({ attributes: (call) => ({ 'request.id': call.context.get(requestIdVar) ?? '' }) }),
      metrics({ recorder }),
      ...openTelemetry.observers,
      logging({ logger: reportingLogger(report), traceContext: () => trace.getActiveSpan()?.spanContext() }),
    ],
    event: (from, name, detail) => report({ type: 'event', event: { at: Date.now(), from, name, detail } }),
    stack(name, interceptors) {
      stacks[name] = interceptors.map((one) => (typeof one === 'function' ? one.name : String(one)))
    },
    gauge: (name, read) => void gauges.set(name, read),
    async stop() {
      clearInterval(timer)
      pulse()
      await openTelemetry.stop()
    },
  }
}
