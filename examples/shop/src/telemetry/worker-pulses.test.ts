import { describe, expect, it } from 'vitest'
import type { PulseFact } from './facts.ts'
import type { MethodWindow } from './window-recorder.ts'
import { WorkerPulses } from './worker-pulses.ts'

const window = (path: string, messagesSent: number, ended: number): MethodWindow => ({
  side: 'server',
  path,
  type: 'unary',
  started: ended,
  ended: { OK: ended },
  latenciesMs: [ended],
  inFlight: 1,
  messagesSent,
  messagesReceived: 0,
  responsesInFlight: 0,
})
const pulse = (admitted: number, ...methods: MethodWindow[]): PulseFact => ({
  at: 1,
  methods,
  gauges: { limiter: { admitted, store: 'workers' } },
  memoryBytes: 10,
})

describe('the pulses of several workers', () => {
  it('are those of one service', () => {
    const pulses = new WorkerPulses()
    pulses.add('one', pulse(1, window('/a.B/C', 5, 2)))
    const both = pulses.add('two', pulse(2, window('/a.B/D', 7, 3), window('/a.B/C', 1, 4)))
    expect(both.gauges).toEqual({ limiter: { admitted: 3, store: 'workers' } })
    expect(both.memoryBytes).toBe(20)
    expect(both.methods).toEqual([{ ...window('/a.B/C', 6, 4), inFlight: 2 }, window('/a.B/D', 7, 3)])
    // What the second has measured since its last pulse is told once.
    const again = pulses.add('one', pulse(4))
    expect(again.methods).toEqual([
      { ...window('/a.B/D', 7, 0), ended: {}, latenciesMs: [] },
      { ...window('/a.B/C', 1, 0), ended: {}, latenciesMs: [] },
    ])
    expect(again.gauges).toEqual({ limiter: { admitted: 6, store: 'workers' } })
  })
})
