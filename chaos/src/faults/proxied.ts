import { broken } from '../fuzz/compare.ts'
import { known } from '../fuzz/known-differences.ts'
import { play } from '../fuzz/play.ts'
import { type Script, written } from '../fuzz/script.ts'
import { worldNames } from '../fuzz/stacks.ts'
import { openWorldNamed, type World } from '../fuzz/worlds.ts'
import { delay } from '../turns.ts'
import { DEADLINE_MS, disturbedScriptOf } from './disturbed-script.ts'
import { type Disturbance, disturbances, TcpProxy } from './tcp-proxy.ts'

export interface ProxiedOptions {
  readonly seed: number
  readonly ms: number
  readonly say: (line: string) => void
}

export interface ProxiedResult {
  /** Runs by what happened to the connection. */
  readonly runs: ReadonlyMap<Disturbance, number>
  readonly worlds: number
  readonly failures: number
}

/** Far more than a busy machine needs, and far less than a lost timer would take. */
const ON_TIME_MS = DEADLINE_MS + 5000
const NEXT_CALL_MS = 10_000

/** Scripts over connections to which something happens: one status each, on time, and the next call works. */
export async function proxied(options: ProxiedOptions): Promise<ProxiedResult> {
  const runs = new Map<Disturbance, number>(disturbances.map((disturbance) => [disturbance, 0]))
  let failures = 0
  let next = options.seed
  const end = performance.now() + options.ms
  const told = new Set<string>()
  const lane = async (name: string): Promise<void> => {
    let proxy: TcpProxy | undefined
    const world = await openWorldNamed(name, async (port) => {
      proxy = await TcpProxy.start(port)
      return proxy.port
    })
    const disturbed: World = {
      ...world,
      disturb: (what) => proxy?.disturb(what as Disturbance),
      // A server that hears nothing more cannot know that its client has gone.
      afterClient: () => proxy?.heal(),
    }
    try {
      while (performance.now() < end && failures < 10) {
        const script = disturbedScriptOf(next++)
        const step = script.steps.find((one) => 'connection' in one)
        const disturbance = (step as { connection: Disturbance }).connection // every such script has one
        const faults = await run(script, disturbed, disturbance)
        if (!(await nextCallWorks(disturbed))) faults.push('the next call did not work')
        runs.set(disturbance, (runs.get(disturbance) ?? 0) + 1)
        if (faults.length === 0) continue
        failures++
        const kind = `${disturbance}: ${faults[0]}`.replace(/\d+/g, '#')
        if (told.has(kind)) continue
        told.add(kind)
        options.say(`\nseed ${script.seed}, ${name}, ${disturbance}:`)
        for (const fault of faults) options.say(`  ${fault}`)
        options.say(written(script))
      }
    } finally {
      world.close()
      proxy?.close()
    }
  }
  await Promise.all(worldNames.map(lane))
  return { runs, worlds: worldNames.length, failures }
}

async function run(script: Script, world: World, disturbance: Disturbance): Promise<string[]> {
  const played = await play(script, world)
  const faults = [...broken(script, played), ...(await world.check(played))]
  if (played.clientMs > ON_TIME_MS) faults.push(`the call took ${Math.round(played.clientMs)} ms`)
  return faults.filter(
    (fault) =>
      known(fault, script, world.name) === undefined &&
      !(disturbance === 'corrupt' && (isContent(fault) || isLostReset(fault))) &&
      !isBrokenConnection(fault),
  )
}

/** HTTP/2 has no checksum: what is corrupt may arrive as something else. */
const isContent = (fault: string): boolean =>
  /^status|got responses|got requests|responses were lost|OK, but|log records|record says/.test(fault)

/** A reset that arrives as something else is none. Servers of grpc-js without interceptors keep such an RPC as well. */
const isLostReset = (fault: string): boolean =>
  /^the handler was not told|^the RPC did not end for the handler/.test(fault)

/** The codes of a connection that is lost. */
const isBrokenConnection = (fault: string): boolean => /^status (1|2|4|13|14) /.test(fault)

/** A call or two may still meet the connection that was just broken. */
async function nextCallWorks(world: World): Promise<boolean> {
  for (let attempt = 0; attempt < 5; attempt++) {
    await delay(5)
    const played = await play(NEXT, world)
    await world.check(played)
    if (played.client?.code === 0) return true
  }
  return false
}

const NEXT: Script = {
  seed: 0,
  pattern: 'unary',
  request: { size: 1 },
  metadata: [],
  headers: [],
  trailers: [],
  options: { deadlineMs: NEXT_CALL_MS, waitForReady: true },
  steps: [{ server: 'status', code: 0, size: 1 }],
}
