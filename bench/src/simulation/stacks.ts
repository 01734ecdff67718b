import type { ClientCall, Interceptor, Status } from '@grpc-stack/grpc-core'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { throttle } from '@grpc-stack/interceptor-ratelimit'
import { RetryBudget, retry } from '@grpc-stack/interceptor-retry'
import { attempt, callThrough, DEADLINE_MS } from './simulated-call.ts'
import type { SimulatedClock } from './simulated-clock.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** What a client process does with a call. Has state of its own, as a process does. */
export type Client = () => Promise<Status>
export type Random = () => number

/** Makes the client of one process. */
export type Stack = (clock: SimulatedClock, server: SimulatedServer, random: Random) => Client

function interceptors(make: (clock: SimulatedClock, random: Random) => readonly Interceptor<ClientCall>[]): Stack {
  return (clock, server, random) => {
    const stack = make(clock, random)
    return () => callThrough(stack, clock, server)
  }
}

/** Of hedging.ts of interceptor-retry: `hedge()` itself needs real calls. */
interface Hedged {
  onHeaders(headers: () => void): void
  readonly status: Promise<Status>
  cancel(): void
}
type HedgingClass = new (
  call: object,
) => {
  run(): Promise<{ readonly winner: Hedged }>
}
const HEDGING = new URL('../../../packages/interceptor-retry/dist/hedging.js', import.meta.url).href
const { Hedging } = (await import(HEDGING)) as { Hedging: HedgingClass }

/** The 99th percentile of an answer of the unloaded server. */
const HEDGE_AFTER_MS = 50

function hedges(budgeted: boolean): Stack {
  return (clock, server) => {
    const budget = budgeted ? new RetryBudget({ clock }) : undefined
    return async () => {
      const endMs = clock.now() + DEADLINE_MS
      const open = (): Hedged => {
        let headers: (() => void) | undefined
        const onHeaders = (then: () => void) => {
          headers = then
        }
        const status = attempt(clock, server, endMs)
        void status.then(({ code }) => code === 0 && headers?.())
        // The server without protection does not learn of a cancel in time.
        return { onHeaders, status, cancel: () => undefined }
      }
      const policy = { maxAttempts: 2, delayMs: HEDGE_AFTER_MS, nonFatalStatusCodes: new Set([14]) }
      const signal = AbortSignal.any([])
      try {
        const { winner } = await new Hedging({ open, signal, policy, budget, clock, onHedge: () => undefined }).run()
        return await winner.status
      } catch (error) {
        return error as Status
      }
    }
  }
}

const plenty = (clock: SimulatedClock) => new RetryBudget({ clock, minRetriesPerSecond: 10 })

/** A name for each, as plots and tables give it. All options are the defaults where the name does not say otherwise. */
export const stacks = {
  bare: interceptors(() => []),
  'retry, no budget': interceptors((clock, random) => [retry({ clock, random, budget: false })]),
  'retry, 10 spare retries a second': interceptors((clock, random) => [
    retry({ clock, random, budget: plenty(clock) }),
  ]),
  retry: interceptors((clock, random) => [retry({ clock, random })]),
  'retry, throttle': interceptors((clock, random) => [retry({ clock, random }), throttle({ clock, random })]),
  'retry, circuit': interceptors((clock, random) => [retry({ clock, random }), circuitBreaker({ clock, random })]),
  'retry, circuit of openMs 10 000': interceptors((clock, random) => [
    retry({ clock, random }),
    circuitBreaker({ clock, random, openMs: 10_000 }),
  ]),
  'retry, circuit, throttle': interceptors((clock, random) => [
    retry({ clock, random }),
    circuitBreaker({ clock, random }),
    throttle({ clock, random }),
  ]),
  'hedge, no budget': hedges(false),
  hedge: hedges(true),
} satisfies Readonly<Record<string, Stack>>
export type StackName = keyof typeof stacks
