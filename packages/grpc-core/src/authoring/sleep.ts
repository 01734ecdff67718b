import { onAbort } from '../runtime/on-abort.ts'
import { LONGEST_TIMEOUT_MS, type Timers } from './clock.ts'

/**
 * Waits, however long. Resolves at once when the signal aborts, and never rejects: what to do then is the caller's business.
 * The timer is gone either way, and however many calls share a signal, it has one listener.
 */
export function sleep(ms: number, clock: Timers, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    let timer: unknown
    let forget: (() => void) | undefined
    const wait = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMEOUT_MS)
      timer = clock.setTimeout(() => (left > step ? wait(left - step) : done()), step)
    }
    const done = (): void => {
      forget?.()
      clock.clearTimeout(timer)
      resolve()
    }
    wait(ms)
    if (signal !== undefined) forget = onAbort(signal, done)
  })
}
