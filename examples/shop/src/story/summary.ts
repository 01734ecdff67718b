import { status as Code } from '@grpc/grpc-js'
import type { Shop } from '../processes/shop.ts'

/** What the interceptors of each service saw, one line per side and method. */
export function summary(shop: Shop): string[] {
  const rows = new Map<string, Map<string, number>>()
  for (const { service, side, path, code, refusedBy } of shop.seen) {
    const row = `${service.padEnd(10)} ${side}  ${path}`
    const ended = Code[code] ?? String(code)
    const ending = refusedBy === undefined ? ended : `${ended} by ${refusedBy}`
    const endings = rows.get(row) ?? new Map<string, number>()
    rows.set(row, endings.set(ending, (endings.get(ending) ?? 0) + 1))
  }
  const width = Math.max(...[...rows.keys()].map((row) => row.length))
  return [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([row, endings]) => `${row.padEnd(width)}  ${[...endings].map(([code, n]) => `${n}× ${code}`).join(', ')}`)
}
