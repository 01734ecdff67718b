import { Pair } from './pair.ts'
import { type Scenario, taken, type VariantName } from './variant.ts'

/** One line of the results. Cost of a streaming scenario is per message. */
export interface Row {
  readonly scenario: Scenario
  readonly variant: VariantName
  readonly side: 'client' | 'server' | 'both'
  /**
   * This side's CPU time, from the processes' own accounting, over all rounds. Not a median of them: a collection of the
   * whole heap comes in every second slice or so, and is part of the cost.
   */
  readonly cpuUsPerOp: number
  /** Over the same of `bare`: a mean over the generations of processes, each with its own. */
  readonly ratioToBare: number
  /** Standard error of that mean; 0 when there is one generation, which says nothing. */
  readonly ratioError: number
  readonly opsPerSec: number
  /** Latency of one call, which in a streaming scenario is one stream. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Bytes allocated per operation, in a run of its own that is too short for a collection. */
  readonly heapBytesPerOp: number
}

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
  /** Calls at a time, warm-up apart. Undefined: what is usual for each scenario. */
  readonly inFlight: number | undefined
}

interface Sample {
  readonly generation: number
  readonly client: number
  readonly server: number
  readonly opsPerSec: number
  readonly p50Ms: number
  readonly p99Ms: number
}

type Samples = Map<VariantName, Sample[]>

/**
 * Measures every scenario of every variant. All pairs of processes live side by side; in each round each has its slice, one
 * after the other, so that a machine that slows down slows all of them.
 */
export async function measure(plan: Plan, say: (line: string) => void): Promise<Row[]> {
  const samples = new Map<Scenario, Samples>(plan.scenarios.map((scenario) => [scenario, new Map()]))
  for (let generation = 1; generation <= plan.generations; generation++) {
    const pairs: Pair[] = []
    try {
      const first = Math.floor((plan.variants.length * generation) / plan.generations)
      for (const name of rotated(plan.variants, first)) pairs.push(await Pair.start(name))
      say(`generation ${generation} of ${plan.generations}: warm-up`)
      await twoAtATime(pairs, (pair) => warmUp(pair, plan))
      for (const scenario of plan.scenarios) {
        say(`generation ${generation} of ${plan.generations}: ${scenario}`)
        await measureScenario(scenario, pairs, plan, generation, samples.get(scenario) as Samples)
      }
    } finally {
      for (const pair of pairs) await pair.stop()
    }
  }
  const rows = plan.scenarios.flatMap((scenario) => {
    const ofScenario = samples.get(scenario) as Samples
    const bare = ofScenario.get('bare') ?? []
    return plan.variants.flatMap((variant) => toRows(scenario, variant, ofScenario.get(variant) ?? [], bare))
  })
  return await addHeap(rows, plan, say)
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
  samples: Samples,
): Promise<void> {
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
      const result = await pair.load(actual(scenario, pair), operations.get(pair) ?? 1, plan.inFlight)
      if (round === 0) continue // the turn after a longer wait
      const sample: Sample = {
        generation,
        client: result.cpuUs / result.operations,
        server: result.serverCpuUs / result.operations,
        opsPerSec: (result.operations / result.elapsedMs) * 1000,
        p50Ms: result.p50Ms,
        p99Ms: result.p99Ms,
      }
      samples.set(pair.name, [...(samples.get(pair.name) ?? []), sample])
    }
  }
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
  { sliceMs, leastOperations, inFlight }: Plan,
): Promise<number> {
  let operations = scenario === 'connectCold' ? Math.ceil(leastOperations / 50) : leastOperations
  if (scenario !== 'unary') await pair.load(scenario, scenario === 'connectCold' ? operations * 12 : operations)
  for (let i = 0; i < 8; i++) {
    const { operations: done, elapsedMs } = await pair.load(scenario, operations, inFlight)
    if (elapsedMs >= sliceMs * 0.8) return done
    operations = Math.ceil(done * Math.min(4, (sliceMs * 1.1) / Math.max(1, elapsedMs)))
  }
  return operations
}

function toRows(scenario: Scenario, variant: VariantName, samples: readonly Sample[], bare: readonly Sample[]): Row[] {
  if (samples.length === 0) return []
  const costs = {
    client: (sample: Sample) => sample.client,
    server: (sample: Sample) => sample.server,
    both: (sample: Sample) => sample.client + sample.server,
  }
  return (Object.keys(costs) as (keyof typeof costs)[]).map((side) => {
    const cost = costs[side]
    const ratios = [...new Set(samples.map((sample) => sample.generation))].map((generation) => {
      const costIn = (all: readonly Sample[]): number =>
        mean(all.filter((sample) => sample.generation === generation).map(cost))
      return costIn(samples) / costIn(bare)
    })
    return {
      scenario,
      variant,
      side,
      cpuUsPerOp: mean(samples.map(cost)),
      ratioToBare: mean(ratios),
      ratioError: standardError(ratios),
      opsPerSec: median(samples.map((sample) => sample.opsPerSec)),
      p50Ms: median(samples.map((sample) => sample.p50Ms)),
      p99Ms: median(samples.map((sample) => sample.p99Ms)),
      heapBytesPerOp: 0,
    }
  })
}

/** With a young generation this large, the run below sees no collection: what the heap grows by is what was allocated. */
const NO_COLLECTION = ['--max-semi-space-size=256', '--min-semi-space-size=256']

async function addHeap(rows: readonly Row[], plan: Plan, say: (line: string) => void): Promise<Row[]> {
  say('heap')
  const bytes = new Map<string, number>()
  await twoAtATime(plan.variants, async (name) => {
    const pair = await Pair.start(name, NO_COLLECTION)
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

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of the mean of some values. */
function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0
  const middle = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
  return Math.sqrt(variance / values.length)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}
