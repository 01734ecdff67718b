import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { concurrencyLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { disturbedScriptOf } from './faults/disturbed-script.ts'
import { type Disturbance, TcpProxy } from './faults/tcp-proxy.ts'
import { Observers } from './fuzz/observers.ts'
import { play } from './fuzz/play.ts'
import { type Script, scriptOf } from './fuzz/script.ts'
import type { Stack } from './fuzz/stacks.ts'
import { openClient, openServer, type World } from './fuzz/worlds.ts'
import type { Section } from './section.ts'

/** Node 20 keeps connections on which a rule of HTTP/2 was broken, as what is corrupt does; only keepalive ends them. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 1000, 'grpc.keepalive_timeout_ms': 5000 } as const

interface Sample {
  readonly heapBytes: number
  /** Sockets, timers and what else keeps a process alive. */
  readonly resources: number
  /** Of the process: a listener that stays with each call would show here first. */
  readonly listeners: number
  /** Taken from the limits on calls at a time. */
  readonly permits: number
  /** Calls that the metrics count as in progress. */
  readonly inFlight: number
}

/** Connections of their own, the last of them disturbed. */
const LANES = 8
const DISTURBED = 2
const SAMPLES = 8
/** What compiled code and filled caches may add. */
const HEAP_GROWTH = 1.15
const HEAP_NOISE_BYTES = 2 * 2 ** 20
const RESOURCE_GROWTH = 3
const NS_PER_MS = 1e6

export interface SoakOptions {
  readonly seed: number
  readonly ms: number
  readonly say: (line: string) => void
}

/** The full stack under random calls and faults for a while: after the first quarter nothing may grow. */
export async function soak({ seed, ms, say }: SoakOptions): Promise<Section> {
  const stacks = Array.from({ length: LANES }, watchedStack)
  const lanes = await Promise.all(stacks.map((stack, at) => openLane(stack, at >= LANES - DISTURBED)))
  const latency = createHistogram()
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()
  const samples: Sample[] = []
  const wrong: string[] = []
  let next = seed
  let calls = 0
  try {
    for (let part = 0; part < SAMPLES; part++) {
      const end = performance.now() + ms / SAMPLES
      await Promise.all(
        lanes.map(async (lane) => {
          const { world, disturbed } = lane
          while (performance.now() < end) {
            const number = next++
            const script = disturbed ? disturbedScriptOf(number) : scriptOf(number)
            if (mayLoseItsReset(script)) continue
            const [problem] = await world.check(await play(script, world))
            if (problem !== undefined && !disturbed && !lane.faulty) wrong.push(`seed ${number}: ${problem}`)
            calls++
            if (disturbed) continue
            const { tookMs, client } = await play(PROBE, world)
            const [leftover] = await world.check({ client, handlers: 1, thrown: undefined })
            if (leftover !== undefined && !lane.faulty) wrong.push(`after seed ${number}: ${leftover}`)
            lane.faulty ||= problem !== undefined || leftover !== undefined
            if (client?.code !== 0) wrong.push(`a call without faults ended with ${client?.code}: ${client?.details}`)
            latency.record(Math.max(1, Math.round(tookMs * NS_PER_MS)))
          }
        }),
      )
      loop.disable()
      samples.push(sample(stacks))
      loop.enable()
    }
  } finally {
    for (const lane of lanes) lane.close()
    loop.disable()
  }
  const faults = [...new Set(wrong), ...grown(samples)]
  for (const what of faults) say(`\nsoak: ${what}`)
  const inMs = (ns: number): string => (ns / NS_PER_MS).toFixed(1)
  return {
    title:
      `${calls} random calls of the full stack in ${Math.round(ms / 1000)} s, one after the other on ${LANES} connections, of which ` +
      `${DISTURBED} are disturbed; between calls, ${samples.length} times, after a full collection:`,
    head: ['', 'heap, MB', 'handles and timers', 'listeners', 'permits', 'in flight'],
    rows: samples.map(({ heapBytes, resources, listeners, permits, inFlight }, at) => [
      `${at + 1} of ${samples.length}`,
      (heapBytes / 1e6).toFixed(1),
      resources,
      listeners,
      permits,
      inFlight,
    ]),
    notes: [
      `${latency.count} unary calls in between, in the same busy process: p99 ${inMs(latency.percentile(99))} ms, worst ` +
        `${inMs(latency.max)} ms. Delay of the event loop: p99 ${inMs(loop.percentile(99))} ms, worst ${inMs(loop.max)} ms.`,
    ],
    calls: calls + latency.count,
    faults: faults.length,
  }
}

/** A reset that arrives as something else is none: grpc-js keeps such an RPC, without interceptors too, and it would look like a leak. */
function mayLoseItsReset({ steps }: Script): boolean {
  return steps.some((step) => 'connection' in step && step.connection === 'corrupt')
}

function grown(samples: readonly Sample[]): string[] {
  const settled = samples.slice(SAMPLES / 4)
  const first = settled[0] as Sample // there are more
  const last = settled.at(-1) as Sample
  const found: string[] = []
  if (last.heapBytes > first.heapBytes * HEAP_GROWTH + HEAP_NOISE_BYTES) {
    found.push(`the heap grew from ${first.heapBytes} to ${last.heapBytes} bytes`)
  }
  // While a sample is taken, a disturbed connection may be on its way to be closed and another to be opened: the least of each half counts.
  const half = settled.length / 2
  const leastOf = (some: readonly Sample[]): number => Math.min(...some.map(({ resources }) => resources))
  const [before, after] = [leastOf(settled.slice(0, half)), leastOf(settled.slice(half))]
  if (after > before + RESOURCE_GROWTH) {
    const kinds = [...new Set(process.getActiveResourcesInfo())].join(', ')
    found.push(`handles and timers grew from ${before} to ${after}: ${kinds}`)
  }
  if (last.listeners > first.listeners) found.push(`listeners grew from ${first.listeners} to ${last.listeners}`)
  for (const { permits, inFlight } of samples) {
    if (permits !== 0) found.push(`${permits} permits are taken while no call runs`)
    if (inFlight !== 0) found.push(`${inFlight} calls are in flight while none runs`)
  }
  return found
}

interface WatchedStack extends Stack {
  readonly held: () => { readonly permits: number; readonly inFlight: number }
}

/** Every package, in the recommended order. */
function watchedStack(): WatchedStack {
  const ofClient = new Observers('client')
  const ofServer = new Observers('server')
  const places = concurrencyLimit({ limit: 100 })
  const outgoing = concurrencyLimit({ limit: 100 })
  return {
    client: [
      ...ofClient.interceptors,
      requestId(),
      retry({ retryIf: () => false }),
      circuitBreaker({ isFailure: () => false }),
      outgoing,
      throttle({ rate: 1e6 }),
      clientAuth({ token: 'a-token', allowInsecure: true }),
    ],
    server: [
      requestId(),
      ...ofServer.interceptors,
      places,
      serverAuth({ verify: () => ({ subject: 'chaos' }) }),
      rateLimit({ rate: 1e9 }),
    ],
    check: async ({ client, handlers, thrown }) => {
      await ofServer.settle()
      const made = thrown === undefined ? 1 : 0
      return [
        ...ofClient.disagreements({ least: made, most: made }, client?.code),
        ...ofServer.disagreements({ least: handlers, most: handlers + 1 }, undefined),
      ]
    },
    held: () => ({
      permits: places.state().inFlight + outgoing.state().inFlight,
      inFlight: ofClient.inFlight + ofServer.inFlight,
    }),
  }
}

interface Lane {
  readonly world: World
  readonly disturbed: boolean
  /** What it does wrong is told once: most of it shows in each further call. */
  faulty: boolean
  close(): void
}

async function openLane(stack: Stack, disturbed: boolean): Promise<Lane> {
  const serving = await openServer(stack, KEEPALIVE)
  const proxy = disturbed ? await TcpProxy.start(serving.port) : undefined
  const client = openClient('full stack', stack, proxy?.port ?? serving.port, { options: KEEPALIVE })
  await client.ready
  return {
    disturbed,
    faulty: false,
    world: {
      ...client,
      disturb: (what) => proxy?.disturb(what as Disturbance), // disturbed scripts have no other
      afterClient: () => proxy?.heal(),
    },
    close: () => {
      client.close()
      proxy?.close()
      serving.close()
    },
  }
}

const PROBE: Script = {
  seed: 0,
  pattern: 'unary',
  request: { size: 100 },
  metadata: [],
  headers: [],
  trailers: [],
  options: { deadlineMs: 20_000 },
  steps: [{ server: 'status', code: 0, size: 100 }],
}

function sample(stacks: readonly WatchedStack[]): Sample {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start Node with --expose-gc')
  gc()
  gc()
  const held = stacks.map((stack) => stack.held())
  return {
    heapBytes: process.memoryUsage().heapUsed,
    resources: process.getActiveResourcesInfo().length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    permits: held.reduce((sum, { permits }) => sum + permits, 0),
    inFlight: held.reduce((sum, { inFlight }) => sum + inFlight, 0),
  }
}
