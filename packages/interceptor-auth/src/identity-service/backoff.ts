import { milliseconds, number } from '@grpc-stack/grpc-core/authoring'
import type { TableOf } from '../option-kinds.ts'

/** How long to wait after failures in a row. */
export interface Backoff {
  /** Milliseconds after the first failure. Default: 1000, as for gRPC connections. */
  readonly initialMs: number
  /** Upper bound in milliseconds. Default: 120 000, as for gRPC connections. */
  readonly maxMs: number
  /** Growth from one failure to the next. Default: 1.6, as for gRPC connections. */
  readonly multiplier: number
  /** Share by which a wait is shortened or lengthened at random, so that clients spread. Default: 0.2. */
  readonly jitter: number
}

/** Source: gRPC connection backoff protocol, which gRFC A97 takes over for token files. */
export const defaultBackoff: Backoff = { initialMs: 1000, maxMs: 120_000, multiplier: 1.6, jitter: 0.2 }

export const backoffTable: TableOf<Backoff> = {
  initialMs: milliseconds({ min: 0 }).default(defaultBackoff.initialMs),
  maxMs: milliseconds({ min: 0 }).default(defaultBackoff.maxMs),
  multiplier: number({ min: 1 }).default(defaultBackoff.multiplier),
  jitter: number({ min: 0, max: 1 }).default(defaultBackoff.jitter),
}

/** The wait after the nth failure in a row, n from 1, in milliseconds. */
export function backoffDelay(backoff: Backoff, failures: number, random: () => number): number {
  const grown = Math.min(backoff.initialMs * backoff.multiplier ** (failures - 1), backoff.maxMs)
  return grown * (1 - backoff.jitter + 2 * backoff.jitter * random())
}
