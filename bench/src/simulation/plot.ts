import type { Second } from './fleet.ts'
import type { Outage } from './simulated-server.ts'

const WIDTH = 760
const LEFT = 210
const ROW = 44
const SPACE = 14
/** The height of a row is this many times the calls of the applications. */
const SCALE = 3

/** One row per stack: requests that the server receives, as an area, and of the calls those that succeed, as a line. */
export function plot(title: string, outage: Outage, results: ReadonlyMap<string, readonly Second[]>): string {
  const rows = [...results].map(([name, seconds], i) => row(name, seconds, outage, 64 + i * (ROW + SPACE)))
  const height = 64 + results.size * (ROW + SPACE) + 24
  const length = [...results.values()][0]?.length ?? 0
  const ticks = Array.from({ length: Math.floor(length / 5) + 1 }, (_, i) => {
    const x = at(i * 5, length).toFixed(0)
    return `<text x="${x}" y="${height - 8}" text-anchor="middle">${i * 5} s</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${title}</title>
<style>text{fill:#334155}.outage{fill:#ef4444;fill-opacity:.16}.load{fill:#2563eb;fill-opacity:.45}.ok{fill:none;stroke:#16a34a;stroke-width:2}.base{stroke:#94a3b8;stroke-dasharray:2 3}@media(prefers-color-scheme:dark){text{fill:#cbd5e1}}</style>
<text x="8" y="20" font-weight="600" font-size="14">${title}</text>
<text x="8" y="42">blue: requests the server receives, dashed: calls of the applications; green: calls that succeed, of all; red: the outage</text>
${rows.join('\n')}
${ticks.join('\n')}
</svg>
`
}

function row(name: string, seconds: readonly Second[], { fromMs, toMs }: Outage, top: number): string {
  const { length } = seconds
  const bottom = top + ROW
  const y = (share: number) => (bottom - (ROW * Math.min(share, SCALE)) / SCALE).toFixed(1)
  const point = (second: number, share: number) => `${at(second, length).toFixed(1)},${y(share)}`
  const load = seconds.map(({ calls, received }, i) => point(i + 0.5, received / calls))
  const ok = seconds.map(({ calls, succeeded }, i) => point(i + 0.5, succeeded / calls))
  const [from, to] = [at(fromMs / 1000, length), at(toMs / 1000, length)]
  return [
    `<text x="${LEFT - 10}" y="${bottom - ROW / SCALE + 4}" text-anchor="end">${name}</text>`,
    `<rect class="outage" x="${from.toFixed(1)}" y="${top}" width="${(to - from).toFixed(1)}" height="${ROW}"/>`,
    `<polygon class="load" points="${point(0.5, 0)} ${load.join(' ')} ${point(length - 0.5, 0)}"/>`,
    `<line class="base" x1="${LEFT}" x2="${WIDTH - 10}" y1="${y(1)}" y2="${y(1)}"/>`,
    `<polyline class="ok" points="${ok.join(' ')}"/>`,
  ].join('\n')
}

function at(second: number, length: number): number {
  return LEFT + ((WIDTH - LEFT - 10) * second) / length
}
