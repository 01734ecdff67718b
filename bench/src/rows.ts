import { interval, mean, median, standardError } from './statistics.ts'
import type { Scenario, VariantName } from './variant.ts'

/** What one slice of one variant came to. Costs are per operation. */
export interface Sample {
  readonly generation: number
  readonly round: number
  readonly scenario: Scenario
  readonly variant: VariantName
  readonly operations: number
  readonly elapsedMs: number
  readonly clientUs: number
  readonly serverUs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  /** Of the last minute, at the end of the slice. */
  readonly loadAverage: number
  /** During the slice, of all cores together. Not there where the system does not say. */
  readonly stolenMs?: number
}

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
  /** Latency of one call, which in a streaming scenario is one stream. A median of the rounds; with a rate, their mean. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Only with a rate, as the intervals are. */
  readonly p999Ms?: number
  /** The 95 % intervals of these means over the rounds of all generations. Not there with a single round. */
  readonly p50Ci?: readonly [number, number]
  readonly p99Ci?: readonly [number, number]
  readonly p999Ci?: readonly [number, number]
  /** Bytes allocated per operation, in a run of its own that is too short for a collection. */
  readonly heapBytesPerOp: number
}

const costs = {
  client: (sample: Sample) => sample.clientUs,
  server: (sample: Sample) => sample.serverUs,
  both: (sample: Sample) => sample.clientUs + sample.serverUs,
}

/** The rows of one variant in one scenario, one for each side. */
export function toRows(all: readonly Sample[], scenario: Scenario, variant: VariantName, openLoop: boolean): Row[] {
  const of = (name: VariantName): Sample[] =>
    all.filter((sample) => sample.scenario === scenario && sample.variant === name)
  const samples = of(variant)
  const bare = of('bare')
  if (samples.length === 0) return []
  return (Object.keys(costs) as (keyof typeof costs)[]).map((side) => {
    const cost = costs[side]
    const ratios = [...new Set(samples.map((sample) => sample.generation))].map((generation) => {
      const costIn = (some: readonly Sample[]): number =>
        mean(some.filter((sample) => sample.generation === generation).map(cost))
      return costIn(samples) / costIn(bare)
    })
    return {
      scenario,
      variant,
      side,
      cpuUsPerOp: mean(samples.map(cost)),
      ratioToBare: mean(ratios),
      ratioError: standardError(ratios),
      opsPerSec: median(samples.map(({ operations, elapsedMs }) => (operations / elapsedMs) * 1000)),
      ...(openLoop ? means(samples) : medians(samples)),
      heapBytesPerOp: 0,
    }
  })
}

function medians(samples: readonly Sample[]): Pick<Row, 'p50Ms' | 'p99Ms'> {
  return {
    p50Ms: median(samples.map((sample) => sample.p50Ms)),
    p99Ms: median(samples.map((sample) => sample.p99Ms)),
  }
}

function means(samples: readonly Sample[]): Pick<Row, 'p50Ms' | 'p99Ms' | 'p999Ms' | 'p50Ci' | 'p99Ci' | 'p999Ci'> {
  const of = (quantile: 'p50' | 'p99' | 'p999'): object => {
    const values = samples.map((sample) => sample[`${quantile}Ms`])
    const ci = interval(values)
    return { [`${quantile}Ms`]: mean(values), ...(ci && { [`${quantile}Ci`]: ci }) }
  }
  return { ...of('p50'), ...of('p99'), ...of('p999') } as ReturnType<typeof means>
}
