import { status as Code } from '@grpc/grpc-js'
import {
  type CallHandle,
  type ClientCall,
  type ClientCallDetails,
  type ClientInterceptor,
  type Interceptor,
  type Matcher,
  type MethodInfo,
  type StreamCall,
  select,
  type UnaryCall,
  type UnaryStreamContinuation,
  type UnaryUnaryContinuation,
} from '@grpc-stack/grpc-core'
import {
  anything,
  type Containment,
  contain,
  factory,
  func,
  integer,
  invalidOption,
  type MonotonicClock,
  matcher,
  monotonicClock,
  named,
  type OptionsOf,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import { Hedging, type HedgingPolicy } from './hedging.ts'
import { budget, errorCodes, wait } from './option-kinds.ts'
import { RetryBudget } from './retry-budget.ts'
import { readServiceConfig } from './service-config.ts'
import type { Allowance } from './token-bucket.ts'

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
  readonly clock?: MonotonicClock
}

const WHERE = 'hedge'
const table = {
  delayMs: wait.optional(),
  idempotent: matcher().optional().refusingUndefined('leave it out to hedge all that the service config names'),
  maxAttempts: integer({ min: 2 }).default(2).refusingUndefined('leave it out for 2 attempts'),
  nonFatalStatusCodes: errorCodes('a list of status codes other than OK', 0)
    .default([Code.UNAVAILABLE])
    .refusingUndefined('leave it out for UNAVAILABLE'),
  budget: budget.optional().refusingUndefined('leave it out for a budget of this interceptor'),
  // Read by readServiceConfig, which names the member that is wrong.
  serviceConfig: anything().optional().refusingUndefined('leave it out to hedge by the other options'),
  onHedge: func<(event: HedgeEvent) => void>().optional(),
  clock: monotonicClock(),
} satisfies OptionTable<HedgeOptions>

const PREVIOUS_ATTEMPTS = 'grpc-previous-rpc-attempts'

/**
 * A client interceptor that starts another attempt when the first takes long, by the rules of gRFC A6: the attempt whose response
 * headers come first wins, the others are cancelled. For methods with a single request; others pass.
 *
 * What stands inside runs once per attempt. Do not put it around or inside `retry()` for the same method: attempts would
 * multiply.
 *
 *     interceptChannel(channel, hedge({ delayMs: 80, idempotent: '/shop.v1.Catalog/Get' }))
 *
 * @throws TypeError for an option that is unknown, missing or out of range.
 */
export function hedge(options: HedgeOptions): Interceptor<ClientCall> {
  const { policyFor, contract } = readHedgeOptions(options)
  const hedging = select((method) => !method.requestStream && policyFor(method) !== undefined, contract)
  // Errors and names tell of what the user wrote, not of what it is made of.
  return named(WHERE, hedging as Interceptor<ClientCall>, { side: 'client' })
}
factory('hedge', hedge)

function readHedgeOptions(options: HedgeOptions): { policyFor: PolicyFor; contract: Hedge } {
  const read = readOptions(WHERE, options, table, { show: quoted })
  const { idempotent, clock, onHedge } = read
  const config = read.serviceConfig === undefined ? undefined : readServiceConfig(WHERE, read.serviceConfig)
  if (idempotent === undefined && config === undefined) {
    const expected = 'a matcher of the methods that may run several times; "*" for all'
    throw invalidOption(WHERE, 'idempotent', expected, undefined)
  }
  const may = idempotent ?? (() => true)
  const own = config === undefined ? ownPolicy(read) : undefined
  const policyFor: PolicyFor = (method) => {
    if (!may(method)) return undefined
    if (config === undefined) return own
    const policy = config.policyFor(method)?.hedgingPolicy
    return policy && { ...policy, nonFatalStatusCodes: new Set(policy.nonFatalStatusCodes) }
  }
  const shared = read.budget ?? new RetryBudget(config?.throttling ?? { clock })
  const contract = new Hedge(policyFor, shared === false ? undefined : shared, clock, onHedge)
  return { policyFor, contract: named(WHERE, contract) }
}

type PolicyFor = (method: MethodInfo) => HedgingPolicy | undefined

function ownPolicy({ delayMs, maxAttempts, nonFatalStatusCodes }: OptionsOf<typeof table>): HedgingPolicy {
  if (delayMs === undefined) throw invalidOption(WHERE, 'delayMs', wait.expected, delayMs)
  return { maxAttempts, delayMs, nonFatalStatusCodes: new Set(nonFatalStatusCodes) }
}

class Hedge implements ClientInterceptor {
  readonly #policyFor: PolicyFor
  readonly #policies = new Map<string, HedgingPolicy | undefined>()
  readonly #budget: Allowance | undefined
  readonly #clock: MonotonicClock
  readonly #contained: Containment = contain(WHERE, { code: 'GRPC_STACK_LISTENER_THREW' })
  readonly #onHedge: HedgeOptions['onHedge']

  constructor(
    policyFor: PolicyFor,
    budget: Allowance | undefined,
    clock: MonotonicClock,
    onHedge: HedgeOptions['onHedge'],
  ) {
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
      signal: details.signal,
      policy: this.#policy(method, stream) ?? ONCE,
      budget: this.#budget,
      clock: this.#clock,
      onHedge: (attempts) => this.#contained.run('onHedge', () => this.#onHedge?.({ method, attempts })),
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
