import type { ClientCall, Status } from '@grpc-stack/grpc-core'
import type { CircuitChange, CircuitSettings } from './circuit.ts'
import { type Clock, systemClock } from './clock.ts'
import type { FailurePolicy } from './failure-window.ts'
import { openTimeMs } from './open-time.ts'
import { checkNames, checkNumber, invalid } from './option-checks.ts'
import { timeWindow } from './time-window.ts'

export interface CircuitBreakerOptions {
  /**
   * Calls with the same key share a circuit. `service`, the default, is target and service: `10.0.0.1:50051/shop.v1.Catalog`.
   * `method` is target and path: `10.0.0.1:50051/shop.v1.Catalog/Get`. On a stub with a channel of its own the target is
   * not known and left out. Or a function; whatever it makes of callers' data, at most `maxKeys` are kept.
   */
  readonly key?: 'service' | 'method' | ((call: ClientCall) => string)
  /** When to open: `timeWindow()`, the default, `countWindow()`, `consecutive()` or one of your own. */
  readonly policy?: FailurePolicy
  /**
   * How long a circuit stays open before probes are let through, ms. Default 10 000. Chance takes off up to
   * `openJitter` of it. Each time the circuit opens again without having closed, it is `openMultiplier` times longer.
   */
  readonly openMs?: number
  /** The longest open time, ms. Default 60 000, or `openMs` if that is longer. */
  readonly maxOpenMs?: number
  /** Default 2. */
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
  readonly clock?: Clock
  /** From 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}

const NAMES = [
  'key',
  'policy',
  'openMs',
  'maxOpenMs',
  'openMultiplier',
  'openJitter',
  'halfOpenPermits',
  'successesToClose',
  'probeTimeoutMs',
  'isFailure',
  'observeOnly',
  'maxKeys',
  'clock',
  'random',
]

/** Options, checked and complete. */
export interface Settings {
  readonly key: NonNullable<CircuitBreakerOptions['key']>
  readonly policy: FailurePolicy
  readonly isFailure: CircuitBreakerOptions['isFailure']
  readonly observeOnly: boolean
  readonly maxKeys: number
  readonly clock: Clock
  circuit(onChange: (change: CircuitChange) => void): CircuitSettings
}

const WHERE = 'circuitBreaker'

/** @throws TypeError naming the option that is unknown or wrong. */
export function readOptions(options: CircuitBreakerOptions): Settings {
  checkNames(WHERE, options, NAMES)
  const { key = 'service', policy = timeWindow(), isFailure, observeOnly = false, maxKeys = 1000 } = options
  const { clock = systemClock, random = Math.random, openMs = 10_000, maxOpenMs = Math.max(60_000, openMs) } = options
  const { openMultiplier = 2, openJitter = 0.2, halfOpenPermits = 3, probeTimeoutMs = 10_000 } = options
  const { successesToClose = halfOpenPermits } = options
  const isTime = (n: number) => n >= 0 && Number.isFinite(n)
  const isCount = (n: number) => Number.isInteger(n) && n >= 1
  checkNumber(WHERE, 'openMs', openMs, 'a number of milliseconds ≥ 0', isTime)
  checkNumber(WHERE, 'maxOpenMs', maxOpenMs, 'a number of milliseconds, at least "openMs"', (n) => n >= openMs)
  checkNumber(WHERE, 'openMultiplier', openMultiplier, 'a number ≥ 1', (n) => n >= 1 && Number.isFinite(n))
  checkNumber(WHERE, 'openJitter', openJitter, 'a number from 0 to 1', (n) => n >= 0 && n <= 1)
  checkNumber(WHERE, 'halfOpenPermits', halfOpenPermits, 'an integer ≥ 1', isCount)
  checkNumber(WHERE, 'successesToClose', successesToClose, 'an integer ≥ 1', isCount)
  checkNumber(WHERE, 'probeTimeoutMs', probeTimeoutMs, 'a number of milliseconds above 0', (n) => n > 0)
  checkNumber(WHERE, 'maxKeys', maxKeys, 'an integer ≥ 1', isCount)
  if (typeof key !== 'function' && key !== 'service' && key !== 'method') {
    throw invalid(WHERE, 'key', '"service", "method" or a function', key)
  }
  if (typeof policy?.open !== 'function') {
    throw invalid(WHERE, 'policy', 'timeWindow(), countWindow() or consecutive()', policy)
  }
  if (typeof clock?.now !== 'function') throw invalid(WHERE, 'clock', 'an object with now()', clock)
  if (typeof random !== 'function') throw invalid(WHERE, 'random', 'a function', random)
  if (isFailure !== undefined && typeof isFailure !== 'function')
    throw invalid(WHERE, 'isFailure', 'a function', isFailure)
  if (typeof observeOnly !== 'boolean') throw invalid(WHERE, 'observeOnly', 'true or false', observeOnly)
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
