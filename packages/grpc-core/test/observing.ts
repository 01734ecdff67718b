import type { Call, Interceptor, Status } from '../src/index.ts'

/** What an interceptor that only watches saw: for each RPC, every status that reached it. */
export interface Observer {
  readonly interceptor: Interceptor
  readonly statuses: Status[]
  readonly calls: Call[]
  /** The codes, in the order they came. */
  readonly codes: number[]
}

/** An observer that awaits `next()`. */
export function awaiting(): Observer {
  const statuses: Status[] = []
  const calls: Call[] = []
  return {
    statuses,
    calls,
    interceptor: async function awaiting(call, next) {
      calls.push(call)
      const status = await next()
      statuses.push(status)
      return status
    },
    get codes() {
      return statuses.map(({ code }) => code)
    },
  }
}

/** An observer that returns `next()`'s promise and hears the status by `onStatus`. */
export function listening(): Observer {
  const statuses: Status[] = []
  const calls: Call[] = []
  return {
    statuses,
    calls,
    interceptor: function listening(call, next) {
      calls.push(call)
      call.onStatus((status) => statuses.push(status))
      return next()
    },
    get codes() {
      return statuses.map(({ code }) => code)
    },
  }
}

/** Lets the event loop turn until something holds. */
export async function until(holds: () => boolean, what = 'what the test waits for'): Promise<void> {
  const start = performance.now()
  while (!holds()) {
    if (performance.now() - start > 3000) throw new Error(`${what} did not come true`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export const sides = ['client', 'server'] as const
