import { performance } from 'node:perf_hooks'
import { MESSAGES } from './service.ts'
import { type BenchClient, type Scenario, streaming } from './variant.ts'

/** What a client process reports of one run. */
export interface LoadResult {
  readonly operations: number
  readonly cpuUs: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

/** When calls begin. */
export interface Pace {
  /** Each when an earlier one has ended, so many at a time. Default: what is usual for the scenario. */
  readonly inFlight?: number
  /** So many per second at fixed times instead, however long earlier ones take. */
  readonly rate?: number
}

/** Calls at a time. */
const usualInFlight: Record<Scenario, number> = {
  unary: 64,
  unaryLarge: 16,
  error: 64,
  refused: 64,
  connectCold: 4,
  serverStream: 8,
  clientStream: 8,
  bidi: 8,
}

/** Runs a scenario at a pace and measures this process. */
export async function runLoad(
  scenario: Scenario,
  operations: number,
  client: BenchClient,
  openCold: () => BenchClient,
  pace: Pace = {},
): Promise<LoadResult> {
  const perCall = streaming.includes(scenario) ? MESSAGES : 1
  const inFlight = pace.inFlight ?? usualInFlight[scenario]
  const calls = Math.max(pace.rate === undefined ? inFlight : 1, Math.ceil(operations / perCall))
  const one = call(scenario, client, openCold)
  const before = process.cpuUsage()
  const from = performance.now()
  const latencies =
    pace.rate === undefined ? await closedLoop(one, calls, inFlight) : await openLoop(one, calls, pace.rate)
  const elapsedMs = performance.now() - from
  const cpu = process.cpuUsage(before)
  latencies.sort()
  const at = (share: number): number => latencies[Math.min(calls - 1, Math.floor(calls * share))] ?? 0
  return {
    operations: calls * perCall,
    cpuUs: cpu.user + cpu.system,
    elapsedMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
  }
}

type Latencies = Float64Array

async function closedLoop(one: () => Promise<void>, calls: number, inFlight: number): Promise<Latencies> {
  const latencies = new Float64Array(calls)
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < calls) {
      const index = begun++
      const before = performance.now()
      await one()
      latencies[index] = performance.now() - before
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return latencies
}

/** A latency counts from the time at which its call was due: what delays the beginning of calls is not left out. */
function openLoop(one: () => Promise<void>, calls: number, rate: number): Promise<Latencies> {
  const latencies = new Float64Array(calls)
  const from = performance.now()
  const due = (index: number): number => from + (index * 1000) / rate
  return new Promise((resolve, reject) => {
    let begun = 0
    let ended = 0
    const begin = (index: number): void => {
      one().then(() => {
        latencies[index] = performance.now() - due(index)
        if (++ended === calls) resolve(latencies)
      }, reject)
    }
    const beginThoseDue = (): void => {
      while (begun < calls && due(begun) <= performance.now()) begin(begun++)
      if (begun < calls) setTimeout(beginThoseDue, Math.max(1, due(begun) - performance.now()))
    }
    beginThoseDue()
  })
}

function call(scenario: Scenario, client: BenchClient, openCold: () => BenchClient): () => Promise<void> {
  switch (scenario) {
    case 'unary':
      return () => client.unary(false)
    case 'unaryLarge':
      return () => client.unary(true)
    case 'error':
      return () => client.fail()
    case 'refused':
      return () =>
        client.unary(false).then(
          () => Promise.reject(new Error('the server did not refuse')),
          () => undefined,
        )
    case 'connectCold':
      return async () => {
        const cold = openCold()
        await cold.unary(false)
        cold.close()
      }
    default:
      return () => client[scenario]()
  }
}
