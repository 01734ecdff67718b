import type { PulseFact } from './facts.ts'
import type { MethodWindow } from './window-recorder.ts'

/** Makes the pulses of several workers those of one service: what holds now is summed up, what was measured since the last pulse is not. */
export class WorkerPulses {
  readonly #latest = new Map<string, PulseFact>()

  /** The next pulse of the service. @param worker whose pulse it is, by a name that one which takes its place has, too */
  add(worker: string, pulse: PulseFact): PulseFact {
    this.#latest.set(worker, pulse)
    const all = [...this.#latest.values()]
    return {
      ...pulse,
      memoryBytes: all.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
      gauges: { ...pulse.gauges, limiter: sumOf(all.map(({ gauges }) => gauges.limiter ?? {})) },
      methods: methodsOf(pulse, all),
    }
  }
}

function methodsOf(pulse: PulseFact, all: readonly PulseFact[]): MethodWindow[] {
  const byMethod = new Map<string, MethodWindow[]>()
  for (const window of all.flatMap(({ methods }) => methods)) {
    const key = `${window.side} ${window.path}`
    byMethod.set(key, [...(byMethod.get(key) ?? []), window])
  }
  return [...byMethod.values()].map((windows) => {
    const own = windows.find((window) => pulse.methods.includes(window))
    const sum = (read: (window: MethodWindow) => number): number =>
      windows.reduce((all, window) => all + read(window), 0)
    return {
      ...windows[0]!, // there is at least one of each
      started: own?.started ?? 0,
      ended: own?.ended ?? {},
      latenciesMs: own?.latenciesMs ?? [],
      inFlight: sum(({ inFlight }) => inFlight),
      messagesSent: sum(({ messagesSent }) => messagesSent),
      messagesReceived: sum(({ messagesReceived }) => messagesReceived),
      responsesInFlight: sum(({ responsesInFlight }) => responsesInFlight),
    }
  })
}

/** Numbers added up, and of anything else what was said last. */
function sumOf(all: readonly object[]): Record<string, unknown> {
  const total: Record<string, unknown> = {}
  for (const [name, value] of all.flatMap((counts) => Object.entries(counts))) {
    total[name] = typeof value === 'number' ? Number(total[name] ?? 0) + value : value
  }
  return total
}
