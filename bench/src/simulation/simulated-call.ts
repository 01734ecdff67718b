import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Interceptor, MethodInfo, Next, Status } from '@grpc-stack/grpc-core'
import type { SimulatedClock } from './simulated-clock.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** How long callers wait. */
export const DEADLINE_MS = 1000

const method: MethodInfo = {
  path: '/simulation.Service/Get',
  service: 'simulation.Service',
  name: 'Get',
  pattern: 'unary',
  requestStream: false,
  responseStream: false,
  registered: true,
}
const never = new AbortController().signal
/** By the timer of grpc-js, below all interceptors. */
const EXCEEDED: Status = { code: Code.DEADLINE_EXCEEDED, details: 'Deadline exceeded', origin: 'remote' }

/** What policies ask of a unary call, of one layer of one call. */
class SimulatedCall {
  readonly side = 'client' as const
  readonly method = method
  readonly target = 'dns:service:443'
  readonly signal = never
  readonly committed = false
  readonly channelOptions = undefined
  attemptTimeoutMs: number | undefined
  readonly #clock: SimulatedClock
  readonly #endMs: number
  #metadata: Metadata | undefined
  taps: ((status: Status) => void)[] = []

  constructor(clock: SimulatedClock, endMs: number) {
    this.#clock = clock
    this.#endMs = endMs
  }

  get metadata(): Metadata {
    this.#metadata ??= new Metadata()
    return this.#metadata
  }

  /** By the wall clock, as real calls have it: policies read only how much of it is left. */
  get deadline(): number {
    return Date.now() + this.#endMs - this.#clock.now()
  }

  option(): undefined {
    return undefined
  }

  makeReplayable(): void {}
  onResponseMetadata(): void {}

  onStatus(tap: (status: Status) => void): void {
    this.taps.push(tap)
  }

  async recover(next: Next, recovery: (status: Status) => Status | Promise<Status> | undefined): Promise<Status> {
    const status = await next()
    return recovery(status) ?? status
  }
}

/** One call of an application through the interceptors of its client, outermost first. */
export async function callThrough(
  stack: readonly Interceptor<ClientCall>[],
  clock: SimulatedClock,
  server: SimulatedServer,
): Promise<Status> {
  const endMs = clock.now() + DEADLINE_MS
  const layer = async (index: number): Promise<Status> => {
    const interceptor = stack[index]
    if (interceptor === undefined) return attempt(clock, server, endMs)
    const call = new SimulatedCall(clock, endMs)
    let proceeded = false
    const status = await interceptor(call as unknown as ClientCall, () => {
      proceeded = true
      return layer(index + 1)
    })
    // What an interceptor ends by itself says so, as in the core.
    const told: Status = proceeded ? status : { ...status, origin: 'local', refusedBy: interceptor.name }
    for (const tap of call.taps) tap(told)
    return told
  }
  return layer(0)
}

/** One attempt: what the server answers, or DEADLINE_EXCEEDED if that comes first. */
export function attempt(clock: SimulatedClock, server: SimulatedServer, endMs: number): Promise<Status> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve(EXCEEDED), endMs - clock.now())
    server.take((status) => {
      clock.clearTimeout(timer)
      resolve(status)
    })
  })
}
