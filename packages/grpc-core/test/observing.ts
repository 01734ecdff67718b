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

/** Lets the event loop turn until something holds, for three seconds on the processor: what other processes take is not ours. */
export async function until(holds: () => boolean, what = 'what the test waits for'): Promise<void> {
  const begin = process.cpuUsage()
  while (!holds()) {
    const { user, system } = process.cpuUsage(begin)
    if (user + system > 3_000_000) throw new Error(`${what} did not come true`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export const sides = ['client', 'server'] as const
