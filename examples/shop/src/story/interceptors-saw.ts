import type { Measurements } from '../telemetry/measurements.ts'
import type { Event, Observatory } from '../telemetry/observatory.ts'

/** What each interceptor saw of the story, by its name. */
export function interceptorsSaw(observatory: Observatory, measurements: Measurements): Record<string, string> {
  const { spans, logs, events } = observatory
  const refusals = (name: string) => logs.filter(({ fields }) => fields['grpc.refused_by'] === name)
  const limiter = observatory.pulses.get('inventory')?.gauges.limiter as { admitted: number; refused: number }
  const ids = new Set(logs.map(({ fields }) => fields['request.id']))
  const traces = countBy(spans, ({ traceId }) => traceId)
  return {
    requestId: `${ids.size} requests, each under one id in every service it reached`,
    tracing: `${traces.size} traces of ${spans.length} spans, the longest of ${Math.max(...traces.values())}`,
    metrics: `${listed(Object.entries(measurements.endings('server')))}: a request counts at each service it reaches`,
    logging: `${listed(countBy(logs, ({ level }) => level))} records`,
    serverAuth: `refused ${listed(countBy(refusals('serverAuth'), ({ fields }) => String(fields['grpc.code'])))}`,
    rateLimit: `admitted ${limiter.admitted}, refused ${limiter.refused}: a refusal by inventory is the end of the call at orders and storefront too`,
    retry: `tried again ${events.filter(({ from }) => from === 'retry').length} times`,
    circuitBreaker: `${states(events).join(' → ')}; refused ${refusals('circuitBreaker').length}`,
  }
}

function states(events: readonly Event[]): string[] {
  const changes = events.filter(({ from, name }) => from === 'circuitBreaker' && name === 'stateChange')
  return ['closed', ...changes.map(({ detail }) => String(detail.to))]
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1)
  return counts
}

const listed = (counts: Iterable<readonly [string, number]>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
