import { play } from './fuzz/play.ts'
import { scriptOf } from './fuzz/script.ts'
import { openWorldNamed } from './fuzz/worlds.ts'
import type { Section } from './section.ts'

interface Sample {
  readonly heapBytes: number
  /** Sockets, timers and what else keeps a process alive. */
  readonly resources: number
}

const LANES = 8
const SAMPLES = 8
/** What compiled code and filled caches may add. */
const HEAP_GROWTH = 1.15
const RESOURCE_GROWTH = 3

export interface SoakOptions {
  readonly seed: number
  readonly ms: number
  readonly say: (line: string) => void
}

/** The full stack under random calls for a while: after the first quarter nothing may grow. */
export async function soak({ seed, ms, say }: SoakOptions): Promise<Section> {
  const worlds = await Promise.all(Array.from({ length: LANES }, () => openWorldNamed('full stack')))
  const samples: Sample[] = []
  let next = seed
  let calls = 0
  try {
    for (let part = 0; part < SAMPLES; part++) {
      const end = performance.now() + ms / SAMPLES
      await Promise.all(
        worlds.map(async (world) => {
          while (performance.now() < end) {
            await world.check(await play(scriptOf(next++), world))
            calls++
          }
        }),
      )
      samples.push(sample())
    }
  } finally {
    for (const world of worlds) world.close()
  }
  const settled = samples.slice(SAMPLES / 4)
  const first = settled[0] as Sample // there are more
  const last = settled.at(-1) as Sample
  const grown: string[] = []
  if (last.heapBytes > first.heapBytes * HEAP_GROWTH) grown.push(`heap ${first.heapBytes} to ${last.heapBytes} bytes`)
  if (last.resources > first.resources + RESOURCE_GROWTH) {
    grown.push(`handles and timers ${first.resources} to ${last.resources}`)
  }
  for (const what of grown) say(`\nhas grown: ${what}`)
  return {
    title: `${calls} random calls of the full stack, one after the other on eight connections:`,
    head: ['', 'heap, MB', 'handles and timers'],
    rows: samples.map(({ heapBytes, resources }, at) => [
      `${at + 1} of ${samples.length}`,
      (heapBytes / 1e6).toFixed(1),
      resources,
    ]),
    faults: grown.length,
  }
}

function sample(): Sample {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start Node with --expose-gc')
  gc()
  gc()
  return { heapBytes: process.memoryUsage().heapUsed, resources: process.getActiveResourcesInfo().length }
}
