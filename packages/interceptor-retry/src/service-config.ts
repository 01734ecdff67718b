import { status as Code } from '@grpc/grpc-js'
import type { MethodInfo } from '@grpc-stack/grpc-core'
import { invalidOption, quoted } from '@grpc-stack/grpc-core/authoring'
import type { TokenBudgetOptions } from './retry-budget.ts'

/** `retryPolicy` of a method, as in a gRPC service config. */
export interface ServiceConfigRetryPolicy {
  readonly maxAttempts: number
  readonly initialBackoffMs: number
  readonly maxBackoffMs: number
  readonly backoffMultiplier: number
  readonly retryableStatusCodes: readonly Code[]
}

/** `hedgingPolicy` of a method, as in a gRPC service config. */
export interface ServiceConfigHedgingPolicy {
  readonly maxAttempts: number
  readonly delayMs: number
  readonly nonFatalStatusCodes: readonly Code[]
}

/** Which methods an entry is for: one, all of a service, or all. */
interface Named {
  readonly name: readonly { readonly service?: string; readonly method?: string }[]
}

interface MethodEntry extends Named {
  readonly retryPolicy: ServiceConfigRetryPolicy | undefined
  readonly hedgingPolicy: ServiceConfigHedgingPolicy | undefined
}

/** What gRFC A6 puts into a service config. */
export interface RetryServiceConfig {
  readonly throttling: TokenBudgetOptions | undefined
  policyFor(method: MethodInfo): MethodEntry | undefined
}

/** gRFC A6: larger values are treated as 5, without an error. */
const MAX_ATTEMPTS = 5

/**
 * Reads the parts of a service config that gRFC A6 defines; others are ignored.
 * @param where names the reader in errors, such as `retry`
 * @throws TypeError naming the member that is wrong
 */
export function readServiceConfig(where: string, given: unknown): RetryServiceConfig {
  const root = record(where, 'serviceConfig', typeof given === 'string' ? parse(where, given) : given)
  const list = root.methodConfig ?? []
  if (!Array.isArray(list)) throw invalid(where, 'serviceConfig.methodConfig', 'a list', list)
  const entries = list.map((item: unknown, i) => readEntry(where, `serviceConfig.methodConfig[${i}]`, item))
  return {
    throttling: root.retryThrottling === undefined ? undefined : readThrottling(where, root.retryThrottling),
    policyFor: (method) => entryFor(entries, method),
  }
}

/** The entry that names the method, else its service, else all. */
export function entryFor<E extends Named>(entries: readonly E[], method: MethodInfo): E | undefined {
  const naming = (service: string, name: string) =>
    entries.find((entry) => entry.name.some((n) => (n.service ?? '') === service && (n.method ?? '') === name))
  return naming(method.service, method.name) ?? naming(method.service, '') ?? naming('', '')
}

function parse(where: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new TypeError(`${where}: option "serviceConfig" is not JSON: ${(error as Error).message}`)
  }
}

function readEntry(where: string, path: string, given: unknown): MethodEntry {
  const entry = record(where, path, given)
  const names = entry.name
  if (!Array.isArray(names)) throw invalid(where, `${path}.name`, 'a list', names)
  const retryPolicy =
    entry.retryPolicy === undefined ? undefined : readRetryPolicy(where, `${path}.retryPolicy`, entry.retryPolicy)
  const hedgingPolicy =
    entry.hedgingPolicy === undefined
      ? undefined
      : readHedgingPolicy(where, `${path}.hedgingPolicy`, entry.hedgingPolicy)
  if (retryPolicy && hedgingPolicy) {
    throw new TypeError(`${where}: option "${path}" may have a retryPolicy or a hedgingPolicy, not both`)
  }
  return {
    name: names.map((item: unknown, i) => readName(where, `${path}.name[${i}]`, item)),
    retryPolicy,
    hedgingPolicy,
  }
}

function readName(where: string, path: string, given: unknown): { service: string; method: string } {
  const { service = '', method = '' } = record(where, path, given)
  if (typeof service !== 'string') throw invalid(where, `${path}.service`, 'a string', service)
  if (typeof method !== 'string') throw invalid(where, `${path}.method`, 'a string', method)
  if (service === '' && method !== '') throw invalid(where, `${path}.service`, 'given where a method is', service)
  return { service, method }
}

function readRetryPolicy(where: string, path: string, given: unknown): ServiceConfigRetryPolicy {
  const policy = record(where, path, given)
  const codes = readCodes(where, `${path}.retryableStatusCodes`, policy.retryableStatusCodes)
  if (codes.length === 0) throw invalid(where, `${path}.retryableStatusCodes`, 'a list with at least one code', [])
  return {
    maxAttempts: readMaxAttempts(where, `${path}.maxAttempts`, policy.maxAttempts),
    initialBackoffMs: readDuration(where, `${path}.initialBackoff`, policy.initialBackoff, false),
    maxBackoffMs: readDuration(where, `${path}.maxBackoff`, policy.maxBackoff, false),
    backoffMultiplier: readPositive(where, `${path}.backoffMultiplier`, policy.backoffMultiplier),
    retryableStatusCodes: codes,
  }
}

function readHedgingPolicy(where: string, path: string, given: unknown): ServiceConfigHedgingPolicy {
  const policy = record(where, path, given)
  return {
    maxAttempts: readMaxAttempts(where, `${path}.maxAttempts`, policy.maxAttempts),
    delayMs:
      policy.hedgingDelay === undefined ? 0 : readDuration(where, `${path}.hedgingDelay`, policy.hedgingDelay, true),
    nonFatalStatusCodes: readCodes(where, `${path}.nonFatalStatusCodes`, policy.nonFatalStatusCodes ?? []),
  }
}

function readThrottling(where: string, given: unknown): TokenBudgetOptions {
  const path = 'serviceConfig.retryThrottling'
  const throttling = record(where, path, given)
  const maxTokens = readPositive(where, `${path}.maxTokens`, throttling.maxTokens)
  if (maxTokens > 1000) throw invalid(where, `${path}.maxTokens`, 'at most 1000', maxTokens)
  return { maxTokens, tokenRatio: readPositive(where, `${path}.tokenRatio`, throttling.tokenRatio) }
}

function readMaxAttempts(where: string, path: string, given: unknown): number {
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 2) {
    throw invalid(where, path, 'an integer above 1', given)
  }
  return Math.min(given, MAX_ATTEMPTS)
}

function readPositive(where: string, path: string, given: unknown): number {
  if (typeof given !== 'number' || !(given > 0)) throw invalid(where, path, 'a number above 0', given)
  return given
}

/** google.protobuf.Duration in proto3 JSON: seconds with up to nine decimals and an `s`. */
function readDuration(where: string, path: string, given: unknown, zero: boolean): number {
  const ms = typeof given === 'string' && /^\d{1,12}(\.\d{1,9})?s$/.test(given) ? Number(given.slice(0, -1)) * 1000 : -1
  if (ms < 0 || (ms === 0 && !zero)) {
    throw invalid(where, path, `a duration such as "0.1s"${zero ? '' : ' above zero'}`, given)
  }
  return ms
}

function readCodes(where: string, path: string, given: unknown): readonly Code[] {
  if (!Array.isArray(given)) throw invalid(where, path, 'a list of status codes', given)
  return given.map((code: unknown, i) => readCode(where, `${path}[${i}]`, code))
}

function readCode(where: string, path: string, given: unknown): Code {
  const value = typeof given === 'string' ? (Code as unknown as Record<string, unknown>)[given.toUpperCase()] : given
  if (typeof value !== 'number' || typeof Code[value] !== 'string') {
    throw invalid(where, path, 'the number or name of a status code', given)
  }
  return value
}

function record(where: string, path: string, given: unknown): Record<string, unknown> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(`${where}: option "${path}" must be an object, got ${quoted(given)}`)
  }
  return given as Record<string, unknown>
}

function invalid(where: string, path: string, expected: string, value: unknown): TypeError {
  return invalidOption(where, path, expected, value, quoted)
}
