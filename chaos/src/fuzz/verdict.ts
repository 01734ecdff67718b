import { broken, difference } from './compare.ts'
import { type Played, play } from './play.ts'
import { isOrderly, type Script } from './script.ts'
import type { World } from './worlds.ts'

/** What a script came to in one world. */
export interface Verdict {
  /** What is wrong; empty if nothing is. */
  readonly faults: string[]
  /** Whether everything was compared with the bare world, or only what must hold in any case. */
  readonly compared: boolean
  readonly played: Played
}

/** How a script runs without interceptors: the same each time, or not. */
export interface Bare {
  readonly played: Played
  readonly steady: boolean
  /** What grpc-js itself does wrong. */
  readonly faults: ReadonlySet<string>
}

/** Runs the script without interceptors `times` times. */
export async function playBare(script: Script, bares: readonly World[], times: number): Promise<Bare> {
  let first: Played | undefined
  let steady = isOrderly(script)
  const faults = new Set<string>()
  for (let i = 0; i < (steady ? times : 1); i++) {
    const world = bares[i % bares.length] as World // there are two
    const played = await play(script, world)
    for (const fault of broken(script, played, world)) faults.add(kindOf(fault))
    if (first === undefined) first = played
    else if (difference(world, first, played) !== undefined) steady = false
  }
  return { played: first as Played, steady, faults } // times is at least 1
}

export async function judge(script: Script, bare: Bare, world: World): Promise<Verdict> {
  const played = await play(script, world)
  const faults = [...new Set([...broken(script, played, world), ...(await world.check(played))])]
  if (bare.steady) {
    const differs = difference(world, bare.played, played)
    if (differs !== undefined) faults.push(`differs: ${differs}`)
  }
  return { faults: faults.filter((fault) => !bare.faults.has(kindOf(fault))), compared: bare.steady, played }
}

/**
 * Whether a script that ran in another way than bare does so again: bare runs `times` times the same way, and this world
 * differs in most of `times` runs. Anything else a run may do wrong counts when it happens at all.
 */
export async function differsAgain(
  script: Script,
  bares: readonly World[],
  world: World,
  times: number,
): Promise<boolean> {
  const bare = await playBare(script, bares, times)
  let count = 0
  for (let i = 0; bare.steady && i < times; i++) {
    const { faults } = await judge(script, bare, world)
    if (faults.some((fault) => kindOf(fault) === DIFFERS)) count++
  }
  return count > times / 2
}

const DIFFERS = 'differs'

/** A fault without the numbers of its run. */
export function kindOf(fault: string): string {
  return fault.startsWith(DIFFERS) ? DIFFERS : fault.replace(/\d+/g, '#').replace(/"[^"]*"/g, '"…"')
}
