import type { Deadline } from '@grpc/grpc-js'
import { show } from './show.ts'

/**
 * gRPC writes a timeout with at most eight digits, so that the longest is 99999999 hours. Of a later deadline grpc-js throws where no
 * caller can catch it, which ends the process (deadline.ts, 1.14).
 */
const LATEST = 1e8 * 3_600_000

/**
 * A deadline that was given in one of the ways that grpc-js takes, in epoch milliseconds; `Infinity` for none.
 * @throws TypeError if it is of another type.
 */
export function toEpochMs(deadline: Deadline | null | undefined): number {
  if (deadline === undefined || deadline === null) return Number.POSITIVE_INFINITY
  const value: unknown = typeof deadline === 'number' ? deadline : deadline.getTime?.()
  if (typeof value !== 'number') {
    throw new TypeError(`deadline must be a number of epoch milliseconds or a Date, got ${show(deadline)}`)
  }
  // grpc-js takes what is no time for a deadline that has passed (resolving-call.ts).
  return Number.isNaN(value) ? 0 : sendable(value)
}

/** When so many milliseconds have passed, as a deadline; `Infinity` for none. */
export function endAfter(timeoutMs: number | undefined): number {
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : sendable(Date.now() + timeoutMs)
}

function sendable(deadline: number): number {
  return deadline < LATEST ? deadline : Number.POSITIVE_INFINITY
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
  if (typeof value === 'number' && !Number.isNaN(value)) return sendable(value)
  throw new TypeError(`call.deadline: expected epoch milliseconds, got ${show(deadline)}`)
}
