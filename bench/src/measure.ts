import type { Conditions } from './conditions.ts'
import type { Pace } from './load.ts'
import { loadAverage, type Machine, stolenMs, watchMachine } from './machine.ts'
import { Pair } from './pair.ts'
import { type Row, type Sample, toRows } from './rows.ts'
import { type Scenario, streaming, taken, type VariantName } from './variant.ts'

export interface Plan {
  readonly variants: readonly VariantName[]
  readonly scenarios: readonly Scenario[]
  /** Slices of each variant in each generation. */
  readonly rounds: number
  /** How often the processes are started anew: two that do the same can differ by percents for all their life. */
  readonly generations: number
  /** How long one measured slice should take. */
  readonly sliceMs: number
  /** Unary calls before anything is measured. A full stack takes some 20 000 of them until all of it is compiled. */
  readonly warmUpCalls: number
  /** No longer than this for them, on a slow machine. */
  readonly warmUpMs: number
  /** Operations of the shortest load there is. */
  readonly leastOperations: number
  readonly conditions: Conditions
  /** Of what is measured: the warm-up is as fast as it can be. */
  readonly pace: Pace
}

/** What came of it. */
export interface Measured {
  readonly rows: readonly Row[]
  readonly samples: readonly Sample[]
  readonly machine: Machine
}

/**
 * Measures every scenario of every variant. All pairs of processes live side by side; in each round each has its slice, one
 * after the other, so that a machine that slows down slows all of them.
 */
export async function measure(plan: Plan, say: (line: string) => void): Promise<Measured> {
  const samples: Sample[] = []
  const machineSince = watchMachine()
  for (let generation = 1; generation <= plan.generations; generation++) {
    const pairs: Pair[] = []
    try {
      const first = Math.floor((plan.variants.length * generation) / plan.generations)
      for (const name of rotated(plan.variants, first)) pairs.push(await Pair.start(name, plan))
      say(`generation ${generation} of ${plan.generations}: warm-up`)
      await twoAtATime(pairs, (pair) => warmUp(pair, plan))
      for (const scenario of plan.scenarios) {
        say(`generation ${generation} of ${plan.generations}: ${scenario}`)
        samples.push(...(await measureScenario(scenario, pairs, plan, generation)))
      }
    } finally {
      for (const pair of pairs) await pair.stop()
    }
  }
  const machine = machineSince()
  const rows = plan.scenarios.flatMap((scenario) =>
    plan.variants.flatMap((variant) => toRows(samples, scenario, variant, plan.pace.rate !== undefined)),
  )
  return { rows: await addHeap(rows, plan, say), samples, machine }
}

/** A variant that starts or runs first, or after a certain other, may cost some percent more: so the order changes each time. */
function rotated<T>(all: readonly T[], by: number): T[] {
  const first = by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

/** What the scenario comes to for a pair: where nothing can be refused, a refusal is compared with bare's success. */
function actual(scenario: Scenario, pair: Pair): Scenario {
  return scenario === 'refused' && !pair.refuses ? 'unary' : scenario
}

async function measureScenario(
  scenario: Scenario,
  all: readonly Pair[],
  plan: Plan,
  generation: number,
): Promise<Sample[]> {
  const samples: Sample[] = []
  const pairs = all.filter((pair) => scenario !== 'refused' || pair.refuses || taken(pair.name).base === 'bare')
  if (FAILING.includes(scenario)) {
    const shorter = { warmUpCalls: plan.warmUpCalls * OF_WARM_UP, warmUpMs: plan.warmUpMs * OF_WARM_UP }
    await twoAtATime(pairs, (pair) => warmUp(pair, shorter, actual(scenario, pair)))
  }
  const operations = new Map<Pair, number>()
  for (const pair of pairs) operations.set(pair, await calibrate(pair, actual(scenario, pair), plan))
  for (let round = 0; round <= plan.rounds; round++) {
    const inTurn = rotated(round % 2 === 0 ? pairs : pairs.toReversed(), round)
    for (const pair of inTurn) {
      const before = stolenMs()
      const result = await pair.load(actual(scenario, pair), operations.get(pair) ?? 1, plan.pace)
      const after = stolenMs()
      if (round === 0) continue // the turn after a longer wait
      const { cpuUs, serverCpuUs, ...rest } = result
      samples.push({
        generation,
        round,
        scenario,
        variant: pair.name,
        ...rest,
        clientUs: cpuUs / result.operations,
        serverUs: serverCpuUs / result.operations,
        loadAverage: loadAverage(),
        ...(before !== undefined && after !== undefined && { stolenMs: after - before }),
      })
    }
  }
  return samples
}

/** For work whose time is not measured: no pair keeps two cores busy. */
async function twoAtATime<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...all]
  const next = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await work(one)
  }
  await Promise.all([next(), next()])
}

/** They run code that calls which succeed do not, and a slice of them is too few calls to compile it: less of it than of the rest. */
const FAILING: readonly Scenario[] = ['error', 'refused']
const OF_WARM_UP = 1 / 3

/** Until all of a stack is compiled. */
export async function warmUp(
  pair: Pair,
  { warmUpCalls, warmUpMs }: Pick<Plan, 'warmUpCalls' | 'warmUpMs'>,
  scenario: Scenario = 'unary',
): Promise<void> {
  const until = performance.now() + warmUpMs
  for (let left = warmUpCalls; left > 0 && performance.now() < until; left -= 1000) {
    await pair.load(scenario, Math.min(Math.ceil(left), 1000))
  }
}

/** How many operations fill a slice, once what the scenario adds to a warm pair is warm too. */
async function calibrate(
  pair: Pair,
  scenario: Scenario,
  { sliceMs, leastOperations, pace, conditions }: Plan,
): Promise<number> {
  let operations = scenario === 'connectCold' ? Math.ceil(leastOperations / 50) : leastOperations
  if (scenario !== 'unary') await pair.load(scenario, scenario === 'connectCold' ? operations * 12 : operations)
  if (pace.rate !== undefined) {
    // Quantiles are of calls, and a stream is one. Of fewer, p99.9 would be the slowest and nothing else.
    const calls = Math.max(leastOperations * 5, Math.ceil((pace.rate * sliceMs) / 1000))
    return streaming.includes(scenario) ? calls * conditions.messages : calls
  }
  for (let i = 0; i < 8; i++) {
    const { operations: done, elapsedMs } = await pair.load(scenario, operations, pace)
    if (elapsedMs >= sliceMs * 0.8) return done
    operations = Math.ceil(done * Math.min(4, (sliceMs * 1.1) / Math.max(1, elapsedMs)))
  }
  return operations
}

/** With a young generation this large, the run below sees no collection: what the heap grows by is what was allocated. */
const NO_COLLECTION = ['--max-semi-space-size=256', '--min-semi-space-size=256']

async function addHeap(rows: readonly Row[], plan: Plan, say: (line: string) => void): Promise<Row[]> {
  say('heap')
  const bytes = new Map<string, number>()
  await twoAtATime(plan.variants, async (name) => {
    const pair = await Pair.start(name, { conditions: plan.conditions, nodeFlags: NO_COLLECTION })
    try {
      for (const scenario of plan.scenarios) {
        if (!rows.some((row) => row.variant === name && row.scenario === scenario)) continue
        const operations = Math.ceil(
          plan.leastOperations / (scenario === 'connectCold' ? 20 : scenario === 'unaryLarge' ? 2 : 1),
        )
        // Code that is not compiled yet allocates more.
        for (let i = 0; i < 2; i++) await pair.load(actual(scenario, pair), operations)
        const before = await pair.heap(true)
        const { operations: done } = await pair.load(actual(scenario, pair), operations)
        const after = await pair.heap(false)
        const client = (after.client - before.client) / done
        const server = (after.server - before.server) / done
        bytes.set(`${name} ${scenario} client`, client)
        bytes.set(`${name} ${scenario} server`, server)
        bytes.set(`${name} ${scenario} both`, client + server)
      }
    } finally {
      await pair.stop()
    }
  })
  return rows.map((row) => ({ ...row, heapBytesPerOp: bytes.get(`${row.variant} ${row.scenario} ${row.side}`) ?? 0 }))
}
