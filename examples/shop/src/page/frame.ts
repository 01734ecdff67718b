import type { Shop } from '../processes/shop.ts'
import { serviceNames } from '../services/service.ts'
import type { Measurements, MethodFigures } from '../telemetry/measurements.ts'
import type { Observatory } from '../telemetry/observatory.ts'

/** How the shop is at one moment. */
export interface Frame {
  /** Epoch milliseconds. */
  readonly at: number
  readonly services: readonly { name: string; up: boolean; pid: number | undefined; memoryBytes: number }[]
  readonly methods: readonly MethodFigures[]
  /** What interceptors say about themselves, by place and name. */
  readonly gauges: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Tokens issued so far. */
  readonly logins: number
}

export function frame(shop: Shop, observatory: Observatory, measurements: Measurements, logins: number): Frame {
  const at = Date.now()
  const { pulses } = observatory
  return {
    at,
    services: serviceNames.map((name) => {
      const { running, pid } = shop.service(name)
      return { name, up: running, pid, memoryBytes: pulses.get(name)?.memoryBytes ?? 0 }
    }),
    methods: measurements.figures(at),
    gauges: Object.fromEntries([...pulses].map(([place, { gauges }]) => [place, gauges])),
    logins,
  }
}
