import {
  type HandlerCallDetails,
  type RpcMethodHandler,
  type ServerInterceptor,
  type ServiceContinuation,
  wrapHandler,
} from '@grpc-stack/grpc-core'

interface Count {
  requests: number
  errors: number
  timed: number
  latencyMs: number
}

export class MetricsInterceptor implements ServerInterceptor {
  readonly #counts = new Map<string, Count>()

  async interceptService(
    continuation: ServiceContinuation,
    details: HandlerCallDetails,
  ): Promise<RpcMethodHandler | null> {
    const handler = await continuation(details)
    const begin = (): ((ok: boolean) => void) => {
      const count = this.#count(details.method)
      count.requests++
      const start = performance.now()
      return (ok) => {
        count.timed++
        count.latencyMs += performance.now() - start
        if (!ok) count.errors++
      }
    }
    return wrapHandler(handler, (behavior, { responseStream }) => {
      if (responseStream) {
        return async function* (input, context) {
          const end = begin()
          let ok = false
          try {
            yield* behavior(input, context) as AsyncIterable<unknown>
            ok = true
          } finally {
            end(ok) // also when the stream is abandoned
          }
        }
      }
      return async (input, context) => {
        const end = begin()
        let ok = false
        try {
          const response = await behavior(input, context)
          ok = true
          return response
        } finally {
          end(ok)
        }
      }
    })
  }

  getMetrics(): Record<'requests' | 'errors' | 'averageLatencyMs', Record<string, number>> {
    const each = (value: (count: Count) => number): Record<string, number> =>
      Object.fromEntries([...this.#counts].map(([method, count]) => [method, value(count)]))
    return {
      requests: each(({ requests }) => requests),
      errors: each(({ errors }) => errors),
      averageLatencyMs: each(({ timed, latencyMs }) => (timed === 0 ? 0 : latencyMs / timed)),
    }
  }

  #count(method: string): Count {
    let count = this.#counts.get(method)
    if (count === undefined) {
      count = { requests: 0, errors: 0, timed: 0, latencyMs: 0 }
      this.#counts.set(method, count)
    }
    return count
  }
}
