import { status as Code, Metadata } from '@grpc/grpc-js'
import { compileMatcher, type Interceptor, type Next, type Status, type StatusTap } from '@grpc-stack/grpc-core'
import { circuitBreaker, timeWindow } from '@grpc-stack/interceptor-circuit'
import { memoryStore, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { circuitBreaker as cockatielBreaker, handleAll, SamplingBreaker } from 'cockatiel'
import OpossumBreaker from 'opossum'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { recordingSubjects } from './recording.ts'

export interface MicroResult {
  readonly what: string
  readonly library: string
  readonly nsPerOp: number
}

const method = {
  path: '/bench.v1.Echo/Unary',
  service: 'bench.v1.Echo',
  name: 'Unary',
  pattern: 'unary',
  requestStream: false,
  responseStream: false,
  registered: true,
} as const

const OK: Status = { code: Code.OK, details: '', metadata: new Metadata(), origin: 'remote' }
const SETTLED = Promise.resolve(OK)

/** As much of a call as a decision looks at, with no RPC under it: what remains is the interceptor's own cost. */
function decisionOf(
  // One for the side alone takes a call of that side, as the one below is.
  interceptor: Interceptor<never>,
  side: 'client' | 'server',
  peers: readonly string[],
): (i: number) => void {
  let tap: StatusTap | undefined
  let peer = peers[0] ?? ''
  const call = {
    side,
    method,
    deadline: Number.POSITIVE_INFINITY,
    target: 'dns:bench',
    metadata: new Metadata(),
    peer: () => peer,
    onStatus: (given: StatusTap) => {
      tap = given
    },
  } as never
  const next: Next = () => SETTLED
  return (i) => {
    peer = peers[i % peers.length] ?? ''
    void interceptor(call, next)
    tap?.(OK)
    tap = undefined
  }
}

const KEYS = Array.from({ length: 1_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}:5000`)
const ITERATIONS = 200_000
const ROUNDS = 7

/** Each library's turn in each round, so that a slow moment of the machine is everybody's. */
export async function measureMicro(say: (line: string) => void): Promise<MicroResult[]> {
  return [...(await compare(subjects(), say)), ...(await compare(recordingSubjects(), say))]
}

async function compare(subjects: Subjects, say: (line: string) => void): Promise<MicroResult[]> {
  const results: MicroResult[] = []
  for (const [what, { less, ...contenders }] of Object.entries(subjects)) {
    say(`alone: ${what}`)
    const times = new Map<string, number[]>()
    for (let round = 0; round <= ROUNDS; round++) {
      const around = less === undefined ? 0 : await time(less)
      for (const [library, decide] of Object.entries(contenders)) {
        const ns = (await time(decide)) - (library.startsWith('interceptor-') ? around : 0)
        if (round > 0) times.set(library, [...(times.get(library) ?? []), ns])
      }
    }
    for (const [library, all] of times) {
      results.push({ what, library, nsPerOp: all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0 })
    }
  }
  return results
}

export type Decide = (i: number) => unknown

/** By what is done and who does it. What `less` takes is subtracted from what our interceptors take. */
export type Subjects = Record<string, Record<string, Decide>>

async function time(decide: Decide): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < ITERATIONS; i++) {
    const outcome = decide(i)
    if (outcome instanceof Promise) await outcome
  }
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1_000) / ITERATIONS
}

function subjects(): Subjects {
  const work = (): Promise<Status> => SETTLED
  const cockatiel = cockatielBreaker(handleAll, {
    halfOpenAfter: 10_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000 }),
  })
  const opossum = new OpossumBreaker(work, { timeout: false, rollingCountTimeout: 10_000 })
  const flexible = new RateLimiterMemory({ points: 1_000_000_000, duration: 1 })
  const matches = compileMatcher(['grpc.health.v1.Health', 'billing.*', '/bench.v1.Echo/Unary'], 'bench')
  return {
    'breaker: a call that succeeds, rate over a time window': {
      'interceptor-circuit': decisionOf(circuitBreaker({ policy: timeWindow({}) }), 'client', ['']),
      cockatiel: () => cockatiel.execute(work),
      opossum: () => opossum.fire(),
    },
    'limiter: a call admitted, 1 000 keys': {
      'interceptor-ratelimit': decisionOf(rateLimit({ rate: 1e9, store: memoryStore() }), 'server', KEYS),
      'rate-limiter-flexible': (i) => flexible.consume(KEYS[i % KEYS.length] ?? ''),
    },
    'matcher: asked once per method, not per call': { 'grpc-core': () => matches(method) },
  }
}
