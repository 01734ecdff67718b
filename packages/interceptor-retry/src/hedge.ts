import { status as Code } from '@grpc/grpc-js'
import {
  type CallHandle,
  type ClientCallDetails,
  type ClientInterceptor,
  compileMatcher,
  type Interceptor,
  type Matcher,
  type MethodInfo,
  type StreamCall,
  select,
  type UnaryCall,
  type UnaryStreamContinuation,
  type UnaryUnaryContinuation,
} from '@grpc-stack/grpc-core'
import { type Clock, systemClock } from './clock.ts'
import { Hedging, type HedgingPolicy } from './hedging.ts'
import { checkNames, checkNumber, invalid } from './option-checks.ts'
import { RetryBudget } from './retry-budget.ts'
import { readServiceConfig } from './service-config.ts'
import type { Allowance } from './token-bucket.ts'
import { warnOfListener } from './warnings.ts'

/** One more attempt was started while others ran. */
export interface HedgeEvent {
  /** `/package.Service/Method` */
  readonly method: string
  /** Attempts of this call started so far, this one included. */
  readonly attempts: number
}

export interface HedgeOptions {
  /**
   * Wait for an answer before the next attempt, ms; 0 starts all at once. No default: near the 95th percentile of the
   * method's latency costs about 5 % more calls, far below it doubles the load.
   */
  readonly delayMs?: number
  /** Methods that may be executed several times at once. Required, since a hedge does just that; `*` for all. */
  readonly idempotent?: Matcher
  /** Attempts in all, the first included. Default 2: the second does most of the good. */
  readonly maxAttempts?: number
  /** Statuses that do not end the call while an attempt runs or may start. Default UNAVAILABLE. */
  readonly nonFatalStatusCodes?: readonly Code[]
  /** What calls may spend on further attempts together. Default: a `RetryBudget` of this interceptor; `false` for none. */
  readonly budget?: Allowance | false
  /**
   * A gRPC service config, as JSON text or parsed: its `hedgingPolicy` decides for the methods it names, others are not
   * hedged; its `retryThrottling` is the default budget. `idempotent` is then not required.
   */
  readonly serviceConfig?: string | object
  /** Called for each attempt but the first. What it throws is reported as a process warning. */
  readonly onHedge?: (event: HedgeEvent) => void
  /** Default: monotonic time and Node's timers. */
  readonly clock?: Clock
}

const WHERE = 'hedge'
const NAMES = [
  'delayMs',
  'idempotent',
  'maxAttempts',
  'nonFatalStatusCodes',
  'budget',
  'serviceConfig',
  'onHedge',
  'clock',
]
const PREVIOUS_ATTEMPTS = 'grpc-previous-rpc-attempts'

/**
 * A client interceptor that starts another attempt when the first takes long, by the rules of gRFC A6: the fastest answer
 * wins, the others are cancelled. For methods with a single request; others pass. With a single response the first response
 * wins, with a stream of them the first response headers do.
 *
 * What stands inside runs once per attempt. Do not put it around or inside `retry()` for the same method: attempts would
 * multiply.
 *
 *     interceptChannel(channel, hedge({ delayMs: 80, idempotent: '/shop.v1.Catalog/Get' }))
 *
 * @throws TypeError for an option that is unknown, missing or out of range.
 */
export function hedge(options: HedgeOptions): Interceptor {
  const { policyFor, contract } = readOptions(options)
  return select((method) => !method.requestStream && policyFor(method) !== undefined, contract)
}

function readOptions(options: HedgeOptions): { policyFor: PolicyFor; contract: Hedge } {
  checkNames(WHERE, options, NAMES)
  const { idempotent, serviceConfig, onHedge, clock = systemClock } = options
  if (onHedge !== undefined && typeof onHedge !== 'function') throw invalid(WHERE, 'onHedge', 'a function', onHedge)
  for (const name of ['now', 'setTimeout', 'clearTimeout'] as const) {
    if (typeof clock?.[name] !== 'function') {
      throw invalid(WHERE, 'clock', 'an object with now, setTimeout and clearTimeout', clock)
    }
  }
  const config = serviceConfig === undefined ? undefined : readServiceConfig(WHERE, serviceConfig)
  if (idempotent === undefined && config === undefined) {
    throw invalid(WHERE, 'idempotent', 'a matcher of the methods that may run several times; "*" for all', idempotent)
  }
  const may = idempotent === undefined ? () => true : compileMatcher(idempotent, 'hedge: option "idempotent"')
  const own = config === undefined ? readPolicy(options) : undefined
  const policyFor: PolicyFor = (method) => {
    if (!may(method)) return undefined
    if (config === undefined) return own
    const policy = config.policyFor(method)?.hedgingPolicy
    return policy && { ...policy, nonFatalStatusCodes: new Set(policy.nonFatalStatusCodes) }
  }
  const budget = readBudget(options.budget, () => new RetryBudget(config?.throttling ?? { clock }))
  return { policyFor, contract: new Hedge(policyFor, budget, clock, onHedge) }
}

type PolicyFor = (method: MethodInfo) => HedgingPolicy | undefined

function readPolicy({
  delayMs,
  maxAttempts = 2,
  nonFatalStatusCodes = [Code.UNAVAILABLE],
}: HedgeOptions): HedgingPolicy {
  const isCount = (n: number) => Number.isInteger(n) && n >= 2
  checkNumber(WHERE, 'maxAttempts', maxAttempts, 'an integer ≥ 2', isCount)
  const isError = (code: unknown) => typeof code === 'number' && code !== Code.OK && typeof Code[code] === 'string'
  if (!Array.isArray(nonFatalStatusCodes) || !nonFatalStatusCodes.every(isError)) {
    throw invalid(WHERE, 'nonFatalStatusCodes', 'a list of status codes other than OK', nonFatalStatusCodes)
  }
  return {
    maxAttempts,
    delayMs: checkNumber(WHERE, 'delayMs', delayMs, 'a number of milliseconds ≥ 0', (n) => n >= 0 && n < 2 ** 31),
    nonFatalStatusCodes: new Set(nonFatalStatusCodes),
  }
}

function readBudget(given: HedgeOptions['budget'], make: () => Allowance): Allowance | undefined {
  if (given === false) return undefined
  if (given === undefined) return make()
  for (const name of ['started', 'succeeded', 'failed', 'spend'] as const) {
    if (typeof given?.[name] !== 'function') throw invalid(WHERE, 'budget', 'a RetryBudget or false', given)
  }
  return given
}

class Hedge implements ClientInterceptor {
  readonly #policyFor: PolicyFor
  readonly #policies = new Map<string, HedgingPolicy | undefined>()
  readonly #budget: Allowance | undefined
  readonly #clock: Clock
  readonly #onHedge: HedgeOptions['onHedge']

  constructor(policyFor: PolicyFor, budget: Allowance | undefined, clock: Clock, onHedge: HedgeOptions['onHedge']) {
    this.#policyFor = policyFor
    this.#budget = budget
    this.#clock = clock
    this.#onHedge = onHedge
  }

  async interceptUnaryUnary<Q, R>(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<R> {
    const { winner } = await this.#run<UnaryCall<R>>(details, (changed) => continuation(changed, request), false)
    return winner
  }

  async interceptUnaryStream<Q, R>(
    continuation: UnaryStreamContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<StreamCall<R>> {
    const { winner } = await this.#run<StreamCall<R>>(details, (changed) => continuation(changed, request), true)
    return winner
  }

  #run<C extends CallHandle>(
    details: ClientCallDetails,
    open: (details: ClientCallDetails) => C,
    stream: boolean,
  ): Promise<{ readonly winner: C }> {
    const { method } = details
    return new Hedging<C>({
      open: (before) => open(before === 0 ? details : announced(details, before)),
      headersDecide: stream,
      signal: details.signal,
      policy: this.#policy(method, stream) ?? ONCE,
      budget: this.#budget,
      clock: this.#clock,
      onHedge: (attempts) => {
        try {
          this.#onHedge?.({ method, attempts })
        } catch (error) {
          warnOfListener(error)
        }
      },
    }).run()
  }

  /** Once per method: the paths are those of the application's stubs. */
  #policy(path: string, responseStream: boolean): HedgingPolicy | undefined {
    if (!this.#policies.has(path)) {
      const [, service = '', name = ''] = path.split('/')
      const pattern = responseStream ? 'serverStream' : 'unary'
      const method = { path, service, name, pattern, requestStream: false, responseStream, registered: true } as const
      this.#policies.set(path, this.#policyFor(method))
    }
    return this.#policies.get(path)
  }
}

/** For a path that an interceptor outside has put in place of one that is hedged. */
const ONCE: HedgingPolicy = { maxAttempts: 1, delayMs: 0, nonFatalStatusCodes: new Set() }

function announced(details: ClientCallDetails, attemptsBefore: number): ClientCallDetails {
  const metadata = details.metadata.clone()
  metadata.set(PREVIOUS_ATTEMPTS, String(attemptsBefore))
  return details.with({ metadata })
}
