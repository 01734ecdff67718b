import { Pair } from './pair.ts'
import type { VariantName } from './variant.ts'

export interface MemoryResult {
  readonly what: string
  readonly variant: VariantName
  /** Bytes of heap. */
  readonly client: number
  readonly server: number
}

/** Heap that one call or stream holds while it is open: the difference over so many of them. */
async function held(variant: VariantName, kind: 'unary' | 'bidi', count: number): Promise<MemoryResult> {
  const pair = await Pair.start(variant)
  try {
    await pair.load('unary', 1_000)
    const before = await pair.heap(true)
    await pair.hold(kind, count)
    const after = await pair.heap(true)
    return {
      what: kind === 'unary' ? `bytes per call in flight (${count} held)` : `bytes per idle stream (${count} open)`,
      variant,
      client: (after.client - before.client) / count,
      server: (after.server - before.server) / count,
    }
  } finally {
    await pair.stop()
  }
}

/** What the heap has grown by after so many calls, once a first tenth of them has warmed everything up. */
async function growth(variant: VariantName, calls: number): Promise<MemoryResult> {
  const pair = await Pair.start(variant)
  try {
    await pair.load('unary', calls / 10)
    const before = await pair.heap(true)
    await pair.load('unary', calls)
    const after = await pair.heap(true)
    return {
      what: `heap growth in bytes after ${calls.toLocaleString('en')} calls`,
      variant,
      client: after.client - before.client,
      server: after.server - before.server,
    }
  } finally {
    await pair.stop()
  }
}

export async function measureMemory(calls: number, say: (line: string) => void): Promise<MemoryResult[]> {
  const results: MemoryResult[] = []
  const variants: VariantName[] = ['bare', 'ours-passthrough-8', 'ours-full']
  for (const variant of variants) {
    say(`memory ${variant}`)
    results.push(await held(variant, 'unary', 2_000))
    results.push(await held(variant, 'bidi', 10_000))
  }
  for (const variant of ['ours-passthrough-8', 'ours-full'] as const) {
    say(`growth ${variant}`)
    results.push(await growth(variant, calls))
  }
  return results
}
