import { known } from './known-differences.ts'
import { type Script, scriptOf, written } from './script.ts'
import { shrink } from './shrink.ts'
import { differsAgain, judge, kindOf, playBare } from './verdict.ts'
import { fuzzWorlds, openBare, openWorldNamed, type World } from './worlds.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly ms: number
  /** Most scripts, whatever the time. */
  readonly scripts: number
  /** How many scripts run at the same time, each in worlds of its own. */
  readonly lanes: number
  readonly worlds?: readonly string[]
  /** Instead of scripts made from seeds. */
  readonly script?: Script
  readonly say: (line: string) => void
}

/** What was run in one world, and what came of it. */
export interface Row {
  readonly world: string
  runs: number
  compared: number
  known: number
  unsteady: number
  failed: number
}

export interface FuzzResult {
  readonly scripts: number
  readonly rows: readonly Row[]
  readonly failures: readonly Failure[]
}

export interface Failure {
  readonly world: string
  readonly seed: number
  readonly faults: readonly string[]
  readonly script: Script
}

/** How often a script is run again before a difference is believed. */
const REPEATS = 5
const SHRINK_MS = 12_000
/** One kind of fault in one world is worth telling once. */
const MOST_FAILURES = 12

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const run = new Fuzzing(options)
  // Scripts mostly wait, so several at a time fill the processor, and disturb each other as calls of a program do.
  await Promise.all(Array.from({ length: options.lanes }, () => run.lane()))
  return run.result
}

class Fuzzing {
  readonly #options: FuzzOptions
  readonly #names: readonly string[]
  readonly #rows: ReadonlyMap<string, Row>
  readonly #failures: Failure[] = []
  readonly #told = new Set<string>()
  readonly #end: number
  #scripts = 0

  constructor(options: FuzzOptions) {
    this.#options = options
    this.#names = options.worlds ?? fuzzWorlds
    this.#rows = new Map(
      this.#names.map((world) => [world, { world, runs: 0, compared: 0, known: 0, unsteady: 0, failed: 0 }]),
    )
    this.#end = performance.now() + options.ms
  }

  get result(): FuzzResult {
    return { scripts: this.#scripts, rows: [...this.#rows.values()], failures: this.#failures }
  }

  /** Runs script after script in worlds of its own. */
  async lane(): Promise<void> {
    const { seed, scripts, script } = this.#options
    const bares = await openBare()
    const worlds: World[] = []
    for (const name of this.#names) worlds.push(await openWorldNamed(name))
    try {
      while (this.#scripts < scripts && performance.now() < this.#end && this.#failures.length < MOST_FAILURES) {
        const mine = seed + this.#scripts++
        await this.#script(script ?? scriptOf(mine), bares, worlds)
      }
    } finally {
      for (const world of [...bares, ...worlds]) world.close()
    }
  }

  async #script(script: Script, bares: readonly World[], worlds: readonly World[]): Promise<void> {
    const bare = await playBare(script, bares, 2)
    for (const world of worlds) {
      const row = this.#rows.get(world.name) as Row // made from the same names
      const { faults, compared } = await judge(script, bare, world)
      row.runs++
      if (compared) row.compared++
      const unknown = faults.filter((fault) => known(fault, script, world.name) === undefined)
      if (faults.length > unknown.length) row.known++
      if (unknown.length === 0) continue
      const isDifference = (fault: string): boolean => kindOf(fault) === 'differs'
      const again = unknown.some(isDifference) && (await differsAgain(script, bares, world, REPEATS))
      const sure = unknown.filter((fault) => !isDifference(fault) || again)
      if (sure.length === 0) row.unsteady++
      else await this.#failed(script, bares, world, sure, row)
    }
  }

  async #failed(script: Script, bares: readonly World[], world: World, faults: string[], row: Row): Promise<void> {
    const { say } = this.#options
    const kind = kindOf(String(faults[0]))
    row.failed++
    const told = `${kind}: ${script.pattern}`
    if (this.#told.has(told)) return
    this.#told.add(told)
    const small = await smallest(script, bares, world, kind)
    say(`\nseed ${script.seed}, ${world.name}:`)
    for (const fault of faults) say(`  ${fault}`)
    say(`the simplest script that does the same:\n${written(small)}`)
    const shown = await judge(small, await playBare(small, bares, 3), world)
    for (const fault of shown.faults) say(`  ${fault}`)
    this.#failures.push({ world: world.name, seed: script.seed, faults, script: small })
  }
}

function smallest(script: Script, bares: readonly World[], world: World, kind: string): Promise<Script> {
  const fails = async (candidate: Script): Promise<boolean> => {
    const bare = await playBare(candidate, bares, kind === 'differs' ? 3 : 1)
    for (let i = 0; i < 2; i++) {
      const { faults } = await judge(candidate, bare, world)
      if (!faults.some((fault) => kindOf(fault) === kind && known(fault, candidate, world.name) === undefined))
        return false
    }
    return true
  }
  return shrink(script, fails, SHRINK_MS)
}
