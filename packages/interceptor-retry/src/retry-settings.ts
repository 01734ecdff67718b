import { status as Code } from '@grpc/grpc-js'
import type { MethodInfo, MethodPredicate } from '@grpc-stack/grpc-core'
import {
  anything,
  bytes,
  type Containment,
  contain,
  flag,
  func,
  integer,
  LONGEST_TIMEOUT_MS,
  listOf,
  type MonotonicClock,
  matcher,
  milliseconds,
  monotonicClock,
  number,
  type OptionsOf,
  type OptionTable,
  oneOf,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import type { Jitter } from './backoff.ts'
import type { Policy } from './decision.ts'
import { budget, errorCodes, wait } from './option-kinds.ts'
import { RetryBudget } from './retry-budget.ts'
import type { RetryOptions, RetryOverrides } from './retry-options.ts'
import { type RetryServiceConfig, readServiceConfig } from './service-config.ts'
import type { Allowance } from './token-bucket.ts'

const WHERE = 'retry'

const overridable = {
  maxAttempts: integer({ min: 1 }),
  perAttemptTimeoutMs: milliseconds({ above: 0, infinite: true }).optional(),
  retryableStatusCodes: errorCodes('a list of at least one status code other than OK', 1),
}

const table = {
  maxAttempts: overridable.maxAttempts.default(3).refusingUndefined('leave it out for 3 attempts'),
  initialBackoffMs: wait.default(100),
  maxBackoffMs: wait.default(5000),
  backoffMultiplier: number({ above: 0 }).default(2),
  jitter: oneOf('full', 'proportional', 'none').optional(),
  retryableStatusCodes: overridable.retryableStatusCodes
    .default([Code.UNAVAILABLE])
    .refusingUndefined('leave it out to retry UNAVAILABLE'),
  perAttemptTimeoutMs: overridable.perAttemptTimeoutMs,
  idempotent: matcher().default(() => false),
  retryIf: func<NonNullable<RetryOptions['retryIf']>>()
    .optional()
    .refusingUndefined('leave it out to let the status codes decide'),
  backoff: func<NonNullable<RetryOptions['backoff']>>().optional(),
  retryRefusals: flag()
    .or(listOf(text(), { expected: 'a list of interceptor names' }))
    .default(false),
  budget: budget.optional().refusingUndefined('leave it out for a budget for each target'),
  maxPushbackMs: wait.default(LONGEST_TIMEOUT_MS).refusingUndefined('leave it out to accept any wait'),
  maxReplayBytes: bytes({ min: 0, infinite: true })
    .default(1024 * 1024)
    .refusingUndefined('leave it out to keep up to 1 MiB'),
  maxReplayMessages: number({ min: 0, infinite: true })
    .default(1000)
    .refusingUndefined('leave it out to keep up to 1000'),
  commit: oneOf('headers', 'message').default('headers'),
  // Read by readServiceConfig, which names the member that is wrong.
  serviceConfig: anything().optional().refusingUndefined('leave it out to retry all methods'),
  onRetry: func<NonNullable<RetryOptions['onRetry']>>().optional(),
  onGiveUp: func<NonNullable<RetryOptions['onGiveUp']>>().optional(),
  clock: monotonicClock(),
  random: func<() => number>().default(Math.random),
} satisfies OptionTable<RetryOptions>

const KEEP = 'leave it out to keep what the policy says'
const overrideTable = {
  maxAttempts: overridable.maxAttempts.optional().refusingUndefined(KEEP),
  perAttemptTimeoutMs: overridable.perAttemptTimeoutMs,
  retryableStatusCodes: overridable.retryableStatusCodes.optional().refusingUndefined(KEEP),
  idempotent: flag().optional().refusingUndefined(KEEP),
} satisfies OptionTable<RetryOverrides>

/** A policy and what only a running call needs. */
export interface Plan extends Policy {
  readonly perAttemptTimeoutMs: number | undefined
  /** A service config does not name the method: only an override makes more than one attempt. */
  readonly unnamed: boolean
}

/** What is known about a method. */
export interface MethodPlan {
  readonly plan: Plan
  /** Whether its channel was asked about a retry policy of its own. */
  channelSeen: boolean
}

/** Options, checked and complete. */
export interface Settings {
  /** What holds for a method. */
  planFor(method: MethodInfo): Plan
  readonly mayRetryRefusal: (refusedBy: string | undefined) => boolean
  readonly newBudget: (() => Allowance) | undefined
  readonly budget: Allowance | undefined
  readonly maxReplayBytes: number
  readonly maxReplayMessages: number
  readonly commit: 'headers' | 'message'
  readonly retryIf: RetryOptions['retryIf']
  readonly backoff: RetryOptions['backoff']
  readonly onRetry: RetryOptions['onRetry']
  readonly onGiveUp: RetryOptions['onGiveUp']
  readonly clock: MonotonicClock
  /** Runs the listeners. */
  readonly contained: Containment<'onRetry' | 'onGiveUp'>
  readonly random: () => number
}

/** @throws TypeError naming the option that is unknown or wrong. */
export function readRetryOptions(options: RetryOptions): Settings {
  const read = readOptions(WHERE, options, table, { show: quoted })
  const { idempotent, jitter, clock, random, maxReplayBytes, maxReplayMessages, commit } = read
  const config = read.serviceConfig === undefined ? undefined : readServiceConfig(WHERE, read.serviceConfig)
  const base = basePolicy(read)
  return {
    planFor: (method) => planFor(method, base, idempotent, config, jitter),
    mayRetryRefusal: refusalsOf(read.retryRefusals),
    ...budgetOf(read.budget, config, clock),
    maxReplayBytes,
    maxReplayMessages,
    commit,
    retryIf: read.retryIf,
    backoff: read.backoff,
    onRetry: read.onRetry,
    onGiveUp: read.onGiveUp,
    clock,
    contained: contain(WHERE, { code: 'GRPC_STACK_LISTENER_THREW' }),
    random,
  }
}

/** @throws TypeError naming the override that is unknown or wrong. */
export function checkOverrides(overrides: RetryOverrides): void {
  readOptions('retry.perCall', overrides, overrideTable, { show: quoted })
}

export function override(plan: Plan, overrides: RetryOverrides): Plan {
  const { maxAttempts, retryableStatusCodes, idempotent } = overrides
  const asksForRetries = maxAttempts !== undefined || retryableStatusCodes !== undefined || idempotent === true
  return {
    ...plan,
    maxAttempts: plan.unnamed && !asksForRetries ? 1 : (maxAttempts ?? plan.maxAttempts),
    perAttemptTimeoutMs: overrides.perAttemptTimeoutMs ?? plan.perAttemptTimeoutMs,
    idempotent: idempotent ?? plan.idempotent,
    retryableStatusCodes: retryableStatusCodes ? new Set(retryableStatusCodes) : plan.retryableStatusCodes,
  }
}

function basePolicy(read: OptionsOf<typeof table>): Plan {
  return {
    maxAttempts: read.maxAttempts,
    initialBackoffMs: read.initialBackoffMs,
    maxBackoffMs: read.maxBackoffMs,
    backoffMultiplier: read.backoffMultiplier,
    jitter: read.jitter ?? 'full',
    perAttemptTimeoutMs: read.perAttemptTimeoutMs,
    maxPushbackMs: read.maxPushbackMs,
    retryableStatusCodes: new Set(read.retryableStatusCodes),
    idempotent: false,
    unnamed: false,
  }
}

function planFor(
  method: MethodInfo,
  base: Plan,
  isIdempotent: MethodPredicate,
  config: RetryServiceConfig | undefined,
  jitter: Jitter = 'proportional',
): Plan {
  const plan = { ...base, idempotent: isIdempotent(method) }
  if (config === undefined) return plan
  const policy = config.policyFor(method)?.retryPolicy
  if (policy === undefined) return { ...plan, unnamed: true }
  return { ...plan, ...policy, jitter, retryableStatusCodes: new Set(policy.retryableStatusCodes) }
}

function refusalsOf(given: boolean | readonly string[]): Settings['mayRetryRefusal'] {
  if (typeof given === 'boolean') return () => given
  return (refusedBy) => refusedBy !== undefined && given.includes(refusedBy)
}

function budgetOf(
  given: Allowance | false | undefined,
  config: RetryServiceConfig | undefined,
  clock: MonotonicClock,
): Pick<Settings, 'budget' | 'newBudget'> {
  if (given === false) return { budget: undefined, newBudget: undefined }
  if (given !== undefined) return { budget: given, newBudget: undefined }
  const throttling = config?.throttling
  return { budget: undefined, newBudget: () => new RetryBudget(throttling ?? { clock }) }
}
