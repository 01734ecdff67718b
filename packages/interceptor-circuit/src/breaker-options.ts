import type { ClientCall, Status } from '@grpc-stack/grpc-core'
import {
  flag,
  func,
  integer,
  invalidOption,
  type MonotonicTime,
  milliseconds,
  monotonicTime,
  number,
  type OptionTable,
  objectWith,
  oneOf,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import type { CircuitChange, CircuitSettings } from './circuit.ts'
import type { FailurePolicy } from './failure-window.ts'
import { openTimeMs } from './open-time.ts'
import { timeWindow } from './time-window.ts'

export interface CircuitBreakerOptions {
  /**
   * Calls with the same key share a circuit. `service`, the default, is address and service: `catalog:50051/shop.v1.Catalog`.
   * `method` is address and path: `catalog:50051/shop.v1.Catalog/Get`. The address is the channel's target without the scheme
   * `dns:`, in lower case, with its port. On a stub with a channel of its own the target is not known and left out. Or a
   * function, whose keys are taken as they are; whatever it makes of callers' data, at most `maxKeys` are kept.
   */
  readonly key?: 'service' | 'method' | ((call: ClientCall) => string)
  /** When to open: `timeWindow()`, the default, `countWindow()`, `consecutive()` or one of your own. */
  readonly policy?: FailurePolicy
  /**
   * How long a circuit stays open before probes are let through, ms. Default 1000, as long as gRPC waits
   * before it connects anew: a server that restarts is back in a second or two. Chance takes off up to
   * `openJitter` of it. Each time the circuit opens again without having closed, it is `openMultiplier` times longer.
   */
  readonly openMs?: number
  /** The longest open time, ms. Default 60 000, or `openMs` if that is longer. */
  readonly maxOpenMs?: number
  /** Default 1.6, as that of gRPC's connection backoff: doubling leaves a server that is back waiting for longer than it was away. */
  readonly openMultiplier?: number
  /** From 0 to 1. Default 0.2, so that a fleet of clients does not probe in step. */
  readonly openJitter?: number
  /** How many probes may be under way at once while half-open. Default 3. All other calls are refused. */
  readonly halfOpenPermits?: number
  /** Probes that must succeed to close the circuit. Default: `halfOpenPermits`. One that fails opens it. */
  readonly successesToClose?: number
  /**
   * A probe without an answer gives its place to another after this time, ms. Default 10 000. Its late result is dropped.
   */
  readonly probeTimeoutMs?: number
  /**
   * Decides instead of the status codes and the deadline rule: true is a failure, false a success, undefined nothing. Not
   * asked about what cannot be the server's: cancels by the caller, messages that cannot be serialized, and refusals by
   * interceptors of this process. Default: UNAVAILABLE, INTERNAL, UNKNOWN and DATA_LOSS are failures. DEADLINE_EXCEEDED is
   * one if the call had no deadline of its own, or was unary and had more time than the policy's `slowMs`; where that is not
   * set, more than four times the time that calls of the method usually take. Callers choose their deadlines, and one that
   * leaves the server too little time must not open the circuit for the others.
   */
  readonly isFailure?: (status: Status, call: ClientCall) => boolean | undefined
  /** Judge and tell, but refuse nothing: to find settings. Default false. */
  readonly observeOnly?: boolean
  /** Circuits kept at most; the longest unused goes first. Default 1000. */
  readonly maxKeys?: number
  /** Default: monotonic time. */
  readonly clock?: MonotonicTime
  /** From 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}

const probability = number({ min: 0, max: 1 })

const table = {
  key: oneOf('service', 'method')
    .or(func<(call: ClientCall) => string>())
    .default('service')
    .refusingUndefined('leave it out for one circuit per target and service'),
  policy: objectWith<FailurePolicy>('open').expecting('timeWindow(), countWindow() or consecutive()').optional(),
  openMs: milliseconds().default(1000),
  maxOpenMs: milliseconds({ min: 0, infinite: true }).optional(),
  openMultiplier: number({ min: 1 }).default(1.6),
  openJitter: probability.default(0.2),
  halfOpenPermits: integer({ min: 1 }).default(3),
  successesToClose: integer({ min: 1 }).optional(),
  probeTimeoutMs: milliseconds({ above: 0, infinite: true }).default(10_000),
  isFailure: func<NonNullable<CircuitBreakerOptions['isFailure']>>()
    .optional()
    .refusingUndefined('leave it out to judge by status codes'),
  observeOnly: flag().default(false),
  maxKeys: integer({ min: 1 }).default(1000),
  clock: monotonicTime(),
  random: func<() => number>().default(Math.random),
} satisfies OptionTable<CircuitBreakerOptions>

/** Options, checked and complete. */
export interface Settings {
  readonly key: NonNullable<CircuitBreakerOptions['key']>
  readonly policy: FailurePolicy
  readonly isFailure: CircuitBreakerOptions['isFailure']
  readonly observeOnly: boolean
  readonly maxKeys: number
  readonly clock: MonotonicTime
  circuit(onChange: (change: CircuitChange) => void): CircuitSettings
}

const WHERE = 'circuitBreaker'

/** @throws TypeError naming the option that is unknown or wrong. */
export function readBreakerOptions(options: CircuitBreakerOptions): Settings {
  const read = readOptions(WHERE, options, table, { show: quoted })
  const { key, policy = timeWindow(), isFailure, observeOnly, maxKeys, clock, random } = read
  const { openMs, maxOpenMs = Math.max(LONGEST_OPEN_MS, openMs), openMultiplier, openJitter } = read
  const { halfOpenPermits, successesToClose = halfOpenPermits, probeTimeoutMs } = read
  if (maxOpenMs < openMs) {
    throw invalidOption(WHERE, 'maxOpenMs', 'a number of milliseconds, at least "openMs"', maxOpenMs)
  }
  const openTime = { openMs, maxOpenMs, openMultiplier, openJitter }
  return {
    key,
    policy,
    isFailure,
    observeOnly,
    maxKeys,
    clock,
    circuit: (onChange) => ({
      halfOpenPermits,
      successesToClose,
      probeTimeoutMs,
      clock,
      slowMs: policy.slowMs,
      openTimeMs: (opening) => openTimeMs(openTime, opening, random),
      onChange,
    }),
  }
}

const LONGEST_OPEN_MS = 60_000
