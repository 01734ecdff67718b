import { describe, expect, it } from 'vitest'
import { Measurements, ownerOf } from './measurements.ts'
import { Observatory } from './observatory.ts'
import type { MethodWindow } from './window-recorder.ts'

const window = (more: Partial<MethodWindow>): MethodWindow => ({
  side: 'client',
  path: '/shop.orders.Orders/Place',
  type: 'unary',
  started: 0,
  ended: {},
  latenciesMs: [],
  inFlight: 0,
  messagesSent: 0,
  messagesReceived: 0,
  responsesInFlight: 0,
  ...more,
})

function watched() {
  const observatory = new Observatory()
  const measurements = new Measurements(observatory)
  const pulse = (at: number, ...methods: MethodWindow[]) =>
    observatory.at('storefront')({ type: 'pulse', pulse: { at, methods, gauges: {}, memoryBytes: 0 } })
  return { measurements, pulse }
}

describe('Measurements', () => {
  it('adds the pulses of the last four seconds up', () => {
    const { measurements, pulse } = watched()
    pulse(1000, window({ ended: { OK: 6 }, latenciesMs: [1, 2, 3, 4, 5, 6] }))
    pulse(2000, window({ ended: { OK: 3, UNAVAILABLE: 3 }, latenciesMs: [7, 8, 9, 10, 11, 12], inFlight: 2 }))
    expect(measurements.figures(2000)).toMatchObject([
      { place: 'storefront', to: 'orders', perSecond: 3, errorsPerSecond: 0.75, p50Ms: 6, p99Ms: 12, inFlight: 2 },
    ])
    expect(measurements.figures(5500)).toMatchObject([{ perSecond: 1.5, p50Ms: 9 }])
  })

  it('keeps the totals', () => {
    const { measurements, pulse } = watched()
    pulse(1000, window({ ended: { OK: 6 } }), window({ side: 'server', ended: { OK: 1 } }))
    pulse(90_000, window({ ended: { OK: 1, CANCELLED: 2 } }))
    expect(measurements.figures(90_000)).toMatchObject([{ total: { OK: 7, CANCELLED: 2 } }])
    expect(measurements.endings('client')).toEqual({ OK: 7, CANCELLED: 2 })
    expect(measurements.endings('server')).toEqual({ OK: 1 })
  })

  it('knows whose business a method is', () => {
    expect(ownerOf('/shop.payments.Payments/Charge')).toBe('payments')
    expect(ownerOf('/shop.operations.Operations/SetFault')).toBeUndefined()
  })
})
