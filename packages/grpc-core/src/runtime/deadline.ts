import type { Deadline } from '@grpc/grpc-js'
import { show } from './show.ts'

/** A deadline as grpc-js takes it, in epoch milliseconds; `Infinity` for none. */
export function toEpochMs(deadline: Deadline | undefined): number {
  if (deadline === undefined) return Number.POSITIVE_INFINITY
  const value = typeof deadline === 'number' ? deadline : deadline.getTime()
  // grpc-js takes what is no time for a deadline that has passed (resolving-call.ts).
  return Number.isNaN(value) ? 0 : value
}

export interface DeadlineTimer {
  stop(): void
}

const LONGEST_TIMEOUT = 2 ** 31 - 1 // Node: a longer one fires at once

/** Calls back when the deadline has passed. The wait itself is monotonic. */
export function startDeadlineTimer(deadline: number, onDeadline: () => void): DeadlineTimer {
  return startTimer(deadline - Date.now(), onDeadline)
}

/** Calls back after so many milliseconds, however many. */
export function startTimer(delayMs: number, onDeadline: () => void): DeadlineTimer {
  const end = performance.now() + delayMs
  let timer: NodeJS.Timeout
  const wait = (): void => {
    const left = end - performance.now()
    if (left <= 0) onDeadline()
    else timer = setTimeout(wait, Math.min(Math.ceil(left), LONGEST_TIMEOUT))
  }
  timer = setTimeout(wait, Math.min(Math.max(0, Math.ceil(delayMs)), LONGEST_TIMEOUT))
  return { stop: () => clearTimeout(timer) }
}

/** @throws TypeError if it is no time. */
export function checkDeadline(deadline: unknown): number {
  const value = deadline instanceof Date ? deadline.getTime() : deadline
  if (typeof value === 'number' && !Number.isNaN(value)) return value
  throw new TypeError(`call.deadline: expected epoch milliseconds, got ${show(deadline)}`)
}
