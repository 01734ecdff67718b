import { performance } from 'node:perf_hooks'
import { MESSAGES } from './service.ts'
import type { BenchClient, Scenario } from './variant.ts'

/** What a client process reports of one run. */
export interface LoadResult {
  readonly operations: number
  readonly cpuUs: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Calls in flight, and operations per call. */
const shape: Record<Scenario, { readonly inFlight: number; readonly perCall: number }> = {
  unary: { inFlight: 64, perCall: 1 },
  unaryLarge: { inFlight: 16, perCall: 1 },
  error: { inFlight: 64, perCall: 1 },
  refused: { inFlight: 64, perCall: 1 },
  connectCold: { inFlight: 4, perCall: 1 },
  serverStream: { inFlight: 8, perCall: MESSAGES },
  clientStream: { inFlight: 8, perCall: MESSAGES },
  bidi: { inFlight: 8, perCall: MESSAGES },
}

/**
 * Runs a scenario with a fixed number of calls in flight and measures this process.
 * @param given how many calls. Default: what is usual for the scenario.
 */
export async function runLoad(
  scenario: Scenario,
  operations: number,
  client: BenchClient,
  openCold: () => BenchClient,
  given?: number,
): Promise<LoadResult> {
  const { inFlight: usual, perCall } = shape[scenario]
  const inFlight = given ?? usual
  const calls = Math.max(inFlight, Math.ceil(operations / perCall))
  const latencies = new Float64Array(calls)
  const one = call(scenario, client, openCold)
  let started = 0
  const worker = async (): Promise<void> => {
    while (started < calls) {
      const index = started++
      const before = performance.now()
      await one()
      latencies[index] = performance.now() - before
    }
  }
  const before = process.cpuUsage()
  const from = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  const elapsedMs = performance.now() - from
  const cpu = process.cpuUsage(before)
  latencies.sort()
  const at = (share: number): number => latencies[Math.min(calls - 1, Math.floor(calls * share))] ?? 0
  return { operations: calls * perCall, cpuUs: cpu.user + cpu.system, elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) }
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
