import { status as Code } from '@grpc/grpc-js'
import { compileMatcher, type MethodInfo, type MethodPredicate } from '@grpc-stack/grpc-core'
import type { Jitter } from './backoff.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Policy } from './decision.ts'
import { checkNames, checkNumber, invalid } from './option-checks.ts'
import { RetryBudget } from './retry-budget.ts'
import type { RetryOptions, RetryOverrides } from './retry-options.ts'
import { type RetryServiceConfig, readServiceConfig } from './service-config.ts'
import type { Allowance } from './token-bucket.ts'

const NAMES = [
  'maxAttempts',
  'initialBackoffMs',
  'maxBackoffMs',
  'backoffMultiplier',
  'jitter',
  'retryableStatusCodes',
  'perAttemptTimeoutMs',
  'idempotent',
  'retryIf',
  'backoff',
  'retryRefusals',
  'budget',
  'maxPushbackMs',
  'maxReplayBytes',
  'maxReplayMessages',
  'commit',
  'serviceConfig',
  'onRetry',
  'onGiveUp',
  'clock',
  'random',
]

const OVERRIDES = ['maxAttempts', 'perAttemptTimeoutMs', 'retryableStatusCodes', 'idempotent']

/** A policy and what only a running call needs. */
export interface Plan extends Policy {
  readonly perAttemptTimeoutMs: number | undefined
}

/** What is known about a method. */
export interface MethodPlan {
  /** undefined: not retried. */
  readonly plan: Plan | undefined
  /** Whether its channel was asked about a retry policy of its own. */
  channelSeen: boolean
}

/** Options, checked and complete. */
export interface Settings {
  /** What holds for a method; undefined if it is not retried. */
  planFor(method: MethodInfo): Plan | undefined
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
  readonly clock: Clock
  readonly random: () => number
}

const WHERE = 'retry'
const LONGEST_TIMER = 2 ** 31 - 1

/** @throws TypeError naming the option that is unknown or wrong. */
export function readOptions(options: RetryOptions): Settings {
  checkNames(WHERE, options, NAMES)
  const {
    maxReplayBytes = 1024 * 1024,
    maxReplayMessages = 1000,
    commit = 'headers',
    clock = systemClock,
    random = Math.random,
  } = options
  checkNumber(WHERE, 'maxReplayBytes', maxReplayBytes, 'a number ≥ 0', (n) => n >= 0)
  checkNumber(WHERE, 'maxReplayMessages', maxReplayMessages, 'a number ≥ 0', (n) => n >= 0)
  if (commit !== 'headers' && commit !== 'message') throw invalid(WHERE, 'commit', '"headers" or "message"', commit)
  for (const name of ['retryIf', 'backoff', 'onRetry', 'onGiveUp', 'random'] as const) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'function') throw invalid(WHERE, name, 'a function', value)
  }
  for (const name of ['now', 'setTimeout', 'clearTimeout'] as const) {
    if (typeof clock?.[name] !== 'function')
      throw invalid(WHERE, 'clock', 'an object with now, setTimeout and clearTimeout', clock)
  }
  const config = options.serviceConfig === undefined ? undefined : readServiceConfig(WHERE, options.serviceConfig)
  const base = readBase(options)
  const idempotent =
    options.idempotent === undefined ? () => false : compileMatcher(options.idempotent, 'retry: option "idempotent"')
  return {
    planFor: (method) => planFor(method, base, idempotent, config, options.jitter),
    mayRetryRefusal: readRefusals(options.retryRefusals),
    ...readBudget(options.budget, config, clock),
    maxReplayBytes,
    maxReplayMessages,
    commit,
    retryIf: options.retryIf,
    backoff: options.backoff,
    onRetry: options.onRetry,
    onGiveUp: options.onGiveUp,
    clock,
    random,
  }
}

/** @throws TypeError naming the override that is unknown or wrong. */
export function checkOverrides(overrides: RetryOverrides): void {
  const where = 'retry.perCall'
  checkNames(where, overrides, OVERRIDES)
  if (overrides.maxAttempts !== undefined) checkMaxAttempts(where, overrides.maxAttempts)
  if (overrides.perAttemptTimeoutMs !== undefined) checkTimeout(where, overrides.perAttemptTimeoutMs)
  if (overrides.retryableStatusCodes !== undefined) readCodes(where, overrides.retryableStatusCodes)
  if (overrides.idempotent !== undefined && typeof overrides.idempotent !== 'boolean') {
    throw invalid(where, 'idempotent', 'true or false', overrides.idempotent)
  }
}

export function override(plan: Plan, overrides: RetryOverrides): Plan {
  return {
    ...plan,
    maxAttempts: overrides.maxAttempts ?? plan.maxAttempts,
    perAttemptTimeoutMs: overrides.perAttemptTimeoutMs ?? plan.perAttemptTimeoutMs,
    idempotent: overrides.idempotent ?? plan.idempotent,
    retryableStatusCodes: overrides.retryableStatusCodes
      ? new Set(overrides.retryableStatusCodes)
      : plan.retryableStatusCodes,
  }
}

function readBase(options: RetryOptions): Plan {
  const {
    maxAttempts = 3,
    initialBackoffMs = 100,
    maxBackoffMs = 5000,
    backoffMultiplier = 2,
    jitter = 'full',
    retryableStatusCodes = [Code.UNAVAILABLE],
    perAttemptTimeoutMs,
    maxPushbackMs = LONGEST_TIMER,
  } = options
  const isWait = (n: number) => n >= 0 && n <= LONGEST_TIMER
  checkMaxAttempts(WHERE, maxAttempts)
  checkNumber(WHERE, 'initialBackoffMs', initialBackoffMs, 'a number of milliseconds ≥ 0', isWait)
  checkNumber(WHERE, 'maxBackoffMs', maxBackoffMs, 'a number of milliseconds ≥ 0', isWait)
  checkNumber(WHERE, 'backoffMultiplier', backoffMultiplier, 'a number above 0', (n) => n > 0 && Number.isFinite(n))
  checkNumber(WHERE, 'maxPushbackMs', maxPushbackMs, 'a number of milliseconds ≥ 0', isWait)
  if (perAttemptTimeoutMs !== undefined) checkTimeout(WHERE, perAttemptTimeoutMs)
  if (!['full', 'proportional', 'none'].includes(jitter)) {
    throw invalid(WHERE, 'jitter', '"full", "proportional" or "none"', jitter)
  }
  return {
    maxAttempts,
    initialBackoffMs,
    maxBackoffMs,
    backoffMultiplier,
    jitter,
    perAttemptTimeoutMs,
    maxPushbackMs,
    retryableStatusCodes: readCodes(WHERE, retryableStatusCodes),
    idempotent: false,
  }
}

function planFor(
  method: MethodInfo,
  base: Plan,
  isIdempotent: MethodPredicate,
  config: RetryServiceConfig | undefined,
  jitter: Jitter = 'proportional',
): Plan | undefined {
  const plan = { ...base, idempotent: isIdempotent(method) }
  if (config === undefined) return plan
  const policy = config.policyFor(method)?.retryPolicy
  return policy && { ...plan, ...policy, jitter, retryableStatusCodes: new Set(policy.retryableStatusCodes) }
}

function readRefusals(given: RetryOptions['retryRefusals'] = false): Settings['mayRetryRefusal'] {
  if (typeof given === 'boolean') return () => given
  if (!Array.isArray(given) || given.some((name: unknown) => typeof name !== 'string')) {
    throw invalid(WHERE, 'retryRefusals', 'true, false or a list of interceptor names', given)
  }
  return (refusedBy) => refusedBy !== undefined && given.includes(refusedBy)
}

function readBudget(
  given: RetryOptions['budget'],
  config: RetryServiceConfig | undefined,
  clock: Clock,
): Pick<Settings, 'budget' | 'newBudget'> {
  if (given === false) return { budget: undefined, newBudget: undefined }
  if (given === undefined) {
    const throttling = config?.throttling
    return { budget: undefined, newBudget: () => new RetryBudget(throttling ?? { clock }) }
  }
  for (const name of ['started', 'succeeded', 'failed', 'spend'] as const) {
    if (typeof given?.[name] !== 'function') throw invalid(WHERE, 'budget', 'a RetryBudget or false', given)
  }
  return { budget: given, newBudget: undefined }
}

function checkMaxAttempts(where: string, value: unknown): void {
  checkNumber(where, 'maxAttempts', value, 'an integer ≥ 1', (n) => Number.isInteger(n) && n >= 1)
}

function checkTimeout(where: string, value: unknown): void {
  checkNumber(where, 'perAttemptTimeoutMs', value, 'a number of milliseconds above 0', (n) => n > 0)
}

function readCodes(where: string, given: unknown): ReadonlySet<Code> {
  const isError = (code: unknown) => typeof code === 'number' && code !== Code.OK && typeof Code[code] === 'string'
  if (!Array.isArray(given) || given.length === 0 || !given.every(isError)) {
    throw invalid(where, 'retryableStatusCodes', 'a list of at least one status code other than OK', given)
  }
  return new Set(given as Code[])
}
