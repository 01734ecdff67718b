import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { clientAuth, serverAuth, shareable } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { byPeer, concurrencyLimit, gradientLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { broken } from '../fuzz/compare.ts'
import { known } from '../fuzz/known-differences.ts'
import { Observers } from '../fuzz/observers.ts'
import { type Played, play } from '../fuzz/play.ts'
import { type Script, type Step, scriptOf, written } from '../fuzz/script.ts'
import { type Stack, stacks } from '../fuzz/stacks.ts'
import { openClient, openServer, type World } from '../fuzz/worlds.ts'
import { Random } from '../random.ts'
import type { PartOptions, Section } from '../section.ts'

/** How far the clock of the machine is set, in milliseconds. */
const jumps: Readonly<Record<string, number>> = {
  'a second ahead': 1000,
  'a second back': -1000,
  'an hour ahead': 3_600_000,
  'an hour back': -3_600_000,
  'ten years ahead': 315_360_000_000,
  'ten years back': -315_360_000_000,
}

const DEADLINE_MS = 1500
const ON_TIME_MS = DEADLINE_MS + 5000
const TOKEN_MS = 60_000
/** More than the first back-off of `clientAuth`: a second, and a fifth of it. */
const BACKOFF_MS = 1500

/** Everything that keeps time, with its usual settings. */
function timekeepers(): Stack {
  const ofClient = new Observers('client')
  const ofServer = new Observers('server')
  return {
    client: [
      ...ofClient.interceptors,
      requestId(),
      retry({ retryIf: () => false }),
      hedge({ delayMs: 500, idempotent: [], nonFatalStatusCodes: [] }),
      circuitBreaker({ isFailure: () => false }),
      throttle({ rate: 1e6 }),
      clientAuth({ token: async () => ({ token: 'a-token', expiresAt: Date.now() + TOKEN_MS }), allowInsecure: true }),
    ],
    server: [
      requestId(),
      ...ofServer.interceptors,
      rateLimit({ rate: 1e6, key: byPeer() }),
      concurrencyLimit({ limit: gradientLimit({ min: 100 }) }),
      serverAuth({
        verify: shareable(async () => ({ subject: 'chaos', expiresAt: Date.now() + TOKEN_MS })),
        failureLimit: { max: 1000 },
        endStreamsOnExpiry: true,
      }),
    ],
    check: async ({ client, handlers, thrown }) => {
      await ofServer.settle()
      const made = thrown === undefined ? 1 : 0
      return [
        ...ofClient.disagreements({ least: made, most: made }, client?.code),
        // Calls that auth ends do not come to a handler.
        ...ofServer.disagreements({ least: handlers, most: handlers + 1 }, undefined),
      ]
    },
  }
}

const worlds: Readonly<Record<string, () => Stack>> = {
  bare: () => ({}),
  'what keeps time': timekeepers,
  'eight that start late': stacks['eight that start late'] as () => Stack, // it is there
  'promise client': stacks['promise client'] as () => Stack,
}

/** Random RPCs during which the clock of the machine is set: one status each, on time, and the next call works. */
export async function clockJumps({ seed, quick, say }: PartOptions): Promise<Section> {
  const counts = new Map(Object.keys(jumps).map((name) => [name, 0]))
  const clock = new SetClock()
  let faults = 0
  const told = new Set<string>()
  try {
    for (const [name, stack] of Object.entries(worlds)) {
      const made = stack()
      const serving = await openServer(made)
      const client = openClient(name, made, serving.port)
      await client.ready
      const world: World = { ...client, disturb: (jump) => clock.set(jumps[jump] ?? 0) }
      const end = performance.now() + (quick ? 2500 : 60_000)
      for (let next = seed; performance.now() < end; next++) {
        const { script, jump } = jumpingScriptOf(next)
        const wrong = await run(script, world)
        counts.set(jump, (counts.get(jump) ?? 0) + 1)
        const after = await nextCall(world)
        if (after.client?.code !== 0)
          wrong.push(`the next call ended with ${after.client?.code}: ${after.client?.details}`)
        clock.set(0)
        if (wrong.length === 0) continue
        faults++
        const kind = `${name}: ${wrong[0]}`.replace(/\d+/g, '#')
        if (told.has(kind)) continue
        told.add(kind)
        say(`\nseed ${script.seed}, ${name}, ${jump}:`)
        for (const fault of wrong) say(`  ${fault}`)
        say(written(script))
      }
      client.close()
      serving.close()
    }
  } finally {
    clock.restore()
  }
  return {
    title: `Random RPCs at a moment of which the clock of the machine is set, with ${Object.keys(worlds).length} stacks (${Object.keys(worlds).join(', ')}):`,
    head: ['', 'calls'],
    rows: [...counts],
    calls: [...counts.values()].reduce((sum, count) => sum + count, 0),
    faults,
  }
}

/**
 * The next call. A token that was on its way while the clock was set ahead has expired when it comes, and its provider is asked again
 * after a second; so a refusal of such calls may last that long.
 */
async function nextCall(world: World): Promise<Played> {
  const until = performance.now() + BACKOFF_MS
  for (;;) {
    const played = await play(NEXT, world)
    await world.check(played)
    if (played.client?.code !== Code.UNAUTHENTICATED || performance.now() > until) return played
    await sleep(20)
  }
}

async function run(script: Script, world: World): Promise<string[]> {
  const played = await play(script, world)
  const wrong = [...broken(script, played), ...(await world.check(played))]
  if (played.clientMs > ON_TIME_MS) wrong.push(`the call took ${Math.round(played.clientMs)} ms`)
  return wrong.filter((fault) => known(fault, script, world.name) === undefined && !isEndedByClock(fault))
}

/** A deadline is a time of day: it may have come, and so may the end of a token. */
const isEndedByClock = (fault: string): boolean => /^status (1|4|16) /.test(fault)

function jumpingScriptOf(seed: number): { script: Script; jump: string } {
  const random = new Random(seed ^ 0x2545f491)
  const { steps, ...script } = scriptOf(seed)
  const jump = random.pick(Object.keys(jumps))
  const calm = steps.filter((step) => !('wait' in step && step.wait === 'deadline'))
  const at = random.below(calm.length + 1)
  const disturbance: Step = { connection: jump }
  return {
    jump,
    script: {
      ...script,
      options: { ...script.options, ...(random.chance(0.7) && { deadlineMs: DEADLINE_MS }) },
      steps: [...calm.slice(0, at), disturbance, ...calm.slice(at)],
    },
  }
}

const NEXT: Script = {
  seed: 0,
  pattern: 'unary',
  request: { size: 1 },
  metadata: [],
  headers: [],
  trailers: [],
  options: { deadlineMs: 10_000, waitForReady: true },
  steps: [{ server: 'status', code: 0, size: 1 }],
}

/** The clock of this process: `Date.now()` and `new Date()`. Monotonic time and timers go on as they do. */
class SetClock {
  readonly #Date = Date
  #aheadMs = 0

  constructor() {
    const real = this.#Date
    const now = (): number => real.now() + this.#aheadMs
    globalThis.Date = new Proxy(real, {
      construct: (target, args: unknown[], newTarget) =>
        Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
      get: (target, key, receiver) => (key === 'now' ? now : (Reflect.get(target, key, receiver) as unknown)),
    })
  }

  /** Relative to what the time is. */
  set(aheadMs: number): void {
    this.#aheadMs = aheadMs
  }

  restore(): void {
    globalThis.Date = this.#Date
  }
}
