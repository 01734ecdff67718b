import { status as Code, Metadata } from '@grpc/grpc-js'
import { addDetails, retryInfo } from '@grpc-stack/error-details'
import type { ClientCall, Interceptor, MethodInfo, Next, Status } from '@grpc-stack/grpc-core'
import { factory, isThenable, kindOf, Listeners, named, quoted } from '@grpc-stack/grpc-core/authoring'
import { type CircuitBreakerOptions, readBreakerOptions, type Settings } from './breaker-options.ts'
import {
  Circuit,
  type CircuitChange,
  type CircuitSnapshot,
  type CircuitState,
  type Permit,
  type Verdict,
} from './circuit.ts'
import type { CircuitEvents } from './circuit-events.ts'
import { keyOf, normalKey } from './circuit-key.ts'
import { Circuits, type Entry } from './circuits.ts'
import { type CallFacts, canFail, saysNothing, verdictOf } from './verdict.ts'

/** The interceptor, with its controls. */
export interface CircuitBreaker extends Interceptor<ClientCall> {
  /**
   * The state of a circuit; `unused` where no call has come with this key yet. An open circuit whose time is over reads as
   * half-open. The address in a key may be written in any way: `dns:///Catalog:50051/shop.v1.Catalog` is
   * `catalog:50051/shop.v1.Catalog`.
   */
  state(key: string): CircuitState | 'unused'
  /** Numbers of a circuit, or undefined where no call has come with this key yet. */
  snapshot(key: string): CircuitSnapshot | undefined
  /** The keys in use, as events and refusals name them. */
  keys(): readonly string[]
  /** Listens to `stateChange` or `refusal`. Returns what ends that. */
  on<E extends keyof CircuitEvents>(event: E, listener: (event: CircuitEvents[E]) => void): () => void
  /**
   * Holds one circuit open, or without a key all, those yet to come included. Returns what ends that. Forced open twice
   * is open until both have ended; then probes decide.
   * @throws RangeError for a key that no call has come with: it would stop nothing
   */
  forceOpen(key?: string): Release
  /** Closes one circuit, or all, and forgets what was counted. Those forced open stay open. A key that is not in use changes nothing. */
  reset(key?: string): void
}

/** Ends what it was returned by. Calling it again does nothing. */
export interface Release {
  (): void
  [Symbol.dispose](): void
}

/**
 * A client interceptor that stops calling a server that fails, and finds out by itself when it is back. While the circuit
 * is open calls end at once with UNAVAILABLE, made here (`origin` is `local`, `refusedBy` is `circuitBreaker`), with the time
 * to wait as RetryInfo. Put it inside `retry()`, so that it judges attempts.
 *
 *     const breaker = circuitBreaker({ policy: timeWindow({ failureRate: 0.3 }) })
 *     breaker.on('stateChange', ({ key, to }) => log.warn({ key, to }, 'circuit'))
 *     const channel = interceptChannel(createChannel(target, credentials), retry(), breaker)
 *
 * A response stream counts as a success when its first message comes, and as nothing more. What one caller chooses decides
 * nothing for the others: cancels, refusals and quotas count for nothing, and neither do deadlines that left the server less
 * time than it usually takes.
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const settings = readBreakerOptions(options)
  const { observeOnly } = settings
  const events = new Listeners<CircuitEvents>('circuitBreaker', ['stateChange', 'refusal'])
  let forcedAll = 0
  const circuits = new Circuits(settings.maxKeys, (key) => {
    const onChange = (change: CircuitChange) => events.emit('stateChange', { key, ...change })
    const circuit = new Circuit(settings.policy.open(), settings.circuit(onChange))
    for (let i = 0; i < forcedAll; i++) circuit.force()
    return circuit
  })
  const entryOf = entryFinder(settings, circuits)
  const { key: shape } = settings
  const find = (key: string): Entry | undefined =>
    circuits.get(typeof shape === 'function' ? key : normalKey(key, shape))

  const intercept: Interceptor<ClientCall> = (call, next) => {
    if (call.side !== 'client') return next()
    const budgetMs = call.deadline === Number.POSITIVE_INFINITY ? call.deadline : call.deadline - Date.now()
    // It can only fail, and through no fault of the server's.
    if (budgetMs <= 0) return next()
    const { key, circuit, times } = entryOf(call)
    const facts = { method: call.method, budgetMs, slowMs: settings.policy.slowMs, times }
    const weak = circuit.state() !== 'closed' && settings.isFailure === undefined && !canFail(facts)
    const permit = circuit.acquire(weak)
    if (permit === undefined) {
      const retryInMs = circuit.retryInMs()
      events.emit('refusal', { key, call, retryInMs })
      return observeOnly ? next() : refusal(key, circuit.state(), retryInMs)
    }
    if (settings.isFailure === undefined) {
      watch(call, circuit, permit, facts, settings)
      return next()
    }
    const own: OwnJudge = { isFailure: settings.isFailure }
    watch(call, circuit, permit, facts, settings, own)
    return recoverFrom(own, call, next)
  }

  return Object.assign(named('circuitBreaker', intercept, { side: 'client' }), {
    state: (...keys: [key: string]) =>
      find(keyIn('state', keys))?.circuit.state() ?? (forcedAll > 0 ? 'open' : 'unused'),
    snapshot: (...keys: [key: string]) => find(keyIn('snapshot', keys))?.circuit.snapshot(),
    keys: () => circuits.all().map(({ key }) => key),
    on: events.on.bind(events) as CircuitBreaker['on'],
    forceOpen(...keys: [key?: string]) {
      if (keys.length > 0) return pin(find(keyIn('forceOpen', keys)) ?? unknownKey(keyIn('forceOpen', keys), circuits))
      forcedAll++
      for (const { circuit } of circuits.all()) circuit.force()
      return once(() => {
        forcedAll--
        for (const { circuit } of circuits.all()) circuit.release()
      })
    },
    reset(...keys: [key?: string]) {
      const entries = keys.length === 0 ? circuits.all() : [find(keyIn('reset', keys))]
      for (const entry of entries) entry?.circuit.reset()
    },
  })
}
factory('circuitBreaker', circuitBreaker)

/** The application's `isFailure`, and what it did wrong for this call, if it did. */
interface OwnJudge {
  readonly isFailure: NonNullable<Settings['isFailure']>
  problem?: unknown
}

/** Tells the circuit what comes of the call. Hears the status without a promise of its own. */
function watch(
  call: ClientCall,
  circuit: Circuit,
  permit: Permit,
  facts: CallFacts,
  settings: Settings,
  own?: OwnJudge,
): void {
  call.onStatus((status) => {
    if (!permit.spent) circuit.settle(permit, judge(status, call, permit, facts, settings, own))
  })
  // Callers choose how fast they send. A server may answer a client stream only when its caller has ended it.
  if (call.method.pattern === 'clientStream') permit.slowSince = undefined
  if (call.method.pattern === 'bidi' && facts.slowMs !== undefined) {
    call.onRequest(() => {
      permit.slowSince = settings.clock.now()
    })
  }
  if (call.method.responseStream) {
    call.onResponse(() => {
      if (!permit.spent) circuit.settle(permit, 'success')
    })
  }
}

// Apart, because a function with a closure in it costs each call something, with the option or without.
function recoverFrom(own: OwnJudge, call: ClientCall, next: Next): Promise<Status> {
  return call.recover(next, () => (own.problem === undefined ? undefined : wrongVerdict(own.problem)))
}

function judge(
  status: Status,
  call: ClientCall,
  permit: Permit,
  facts: CallFacts,
  { clock }: Settings,
  own: OwnJudge | undefined,
): Verdict {
  if (own === undefined) return verdictOf(status, facts, permit.since, clock)
  if (saysNothing(status)) return 'nothing'
  try {
    return ownVerdict(own.isFailure(status, call))
  } catch (error) {
    own.problem = error
    return verdictOf(status, facts, permit.since, clock)
  }
}

function ownVerdict(failed: unknown): Verdict {
  if (failed === undefined) return 'nothing'
  if (typeof failed === 'boolean') return failed ? 'failure' : 'success'
  const promise = isThenable(failed)
  // What it rejects with is beside the point, and would be an unhandled rejection.
  if (promise) void Promise.resolve(failed).catch(() => undefined)
  throw new TypeError(
    `circuitBreaker: "isFailure" must return true, false or undefined, got ${promise ? 'a promise' : kindOf(failed)}`,
  )
}

/** The circuit has gone by the status codes. The mistake is the application's, and it must see it. */
function wrongVerdict(problem: unknown): Status {
  const what = problem instanceof Error ? problem.message : String(problem)
  const details = what.startsWith('circuitBreaker:') ? what : `circuitBreaker: "isFailure" threw: ${what}`
  return { code: Code.INTERNAL, details, cause: problem }
}

/** Finds the circuit of a call, without building a key for each where the method decides. */
function entryFinder({ key }: Settings, circuits: Circuits): (call: ClientCall) => Entry {
  if (typeof key === 'function') {
    return (call) => {
      const own: unknown = key(call)
      // It is refused as a key; what it rejects with would be an unhandled rejection.
      if (isThenable(own)) own.then(undefined, () => undefined)
      if (typeof own !== 'string') throw new TypeError(`circuitBreaker: "key" must return a string, got ${String(own)}`)
      return circuits.obtain(own)
    }
  }
  const known = new WeakMap<MethodInfo, { readonly target: string | undefined; readonly entry: Entry }>()
  return (call) => {
    const { method, target } = call
    let found = known.get(method)
    // On a stub with a channel of its own the target is known only once a call has begun: the later attempts of a call
    // must not find another circuit than its first.
    const moved = found?.target !== undefined && found.target !== target
    if (found === undefined || found.entry.dropped || moved) {
      const path = key === 'method' ? method.path.slice(1) : method.service
      found = { target, entry: circuits.obtain(keyOf(target, path)) }
      known.set(method, found)
    } else found.entry.used = true
    return found.entry
  }
}

/** A key that was not found, as in `forceOpen(process.env.KEY)`, must not stand for all circuits. */
function keyIn(control: string, [key]: readonly unknown[]): string {
  if (typeof key === 'string') return key
  throw new TypeError(
    `circuitBreaker.${control}: the key must be a text such as "catalog:50051/shop.v1.Catalog", got ${quoted(key)}`,
  )
}

/** Most keys that an error lists. */
const LISTED = 10

function unknownKey(key: string, circuits: Circuits): never {
  const known = circuits.all().map((entry) => entry.key)
  const more = known.length > LISTED ? ` and ${known.length - LISTED} more` : ''
  const list = known.length === 0 ? 'there is none yet' : `there are ${known.slice(0, LISTED).join(', ')}${more}`
  throw new RangeError(
    `circuitBreaker.forceOpen: no call has come with the key ${JSON.stringify(key)}; ${list}. A circuit exists from its first ` +
      'call on; forceOpen() without a key holds all open, those to come included',
  )
}

function refusal(key: string, state: CircuitState, retryInMs: number): Status {
  const metadata = new Metadata()
  const wait = state === 'open' && Number.isFinite(retryInMs) ? retryInMs : undefined
  const details = `Circuit ${key} is ${state}${wait === undefined ? '' : `; next probe in ${Math.ceil(wait)} ms`}`
  const status = { code: Code.UNAVAILABLE, details, metadata }
  if (wait !== undefined) addDetails(metadata, status, [retryInfo({ retryDelayMs: Math.max(0, wait) })])
  return status
}

function pin(entry: Entry): Release {
  entry.pinned++
  entry.circuit.force()
  return once(() => {
    entry.pinned--
    entry.circuit.release()
  })
}

function once(end: () => void): Release {
  let ended = false
  const release = (): void => {
    if (ended) return
    ended = true
    end()
  }
  return Object.assign(release, { [Symbol.dispose]: release })
}
