import { arch, cpus, platform } from 'node:os'
import type { Machine } from './machine.ts'
import type { Plan } from './measure.ts'
import type { MemoryResult } from './memory.ts'
import type { MicroResult } from './micro.ts'
import type { Row } from './rows.ts'
import type { Scenario } from './variant.ts'

const number = (value: number, digits: number): string => value.toFixed(digits)

/** One scenario as lines of a table, both sides together. */
export function table(rows: readonly Row[], scenario: Scenario): string {
  const openLoop = rows.some(({ p999Ms }) => p999Ms !== undefined)
  const latencies = openLoop ? ['p50 ms', 'p99 ms', 'p99.9 ms'] : ['p50 ms', 'p99 ms']
  const lines = [
    `| variant | client µs | server µs | both µs | × bare | ± | ops/s | ${latencies.join(' | ')} | bytes |`,
    `|---|--:|--:|--:|--:|--:|--:|${'--:|'.repeat(latencies.length)}--:|`,
  ]
  for (const both of rows.filter((row) => row.scenario === scenario && row.side === 'both')) {
    const side = (name: Row['side']): number =>
      rows.find((row) => row.scenario === scenario && row.variant === both.variant && row.side === name)?.cpuUsPerOp ??
      0
    const cells = [
      both.variant,
      number(side('client'), 1),
      number(side('server'), 1),
      number(both.cpuUsPerOp, 1),
      number(both.ratioToBare, 2),
      number(both.ratioError, 2),
      number(both.opsPerSec, 0),
      latency(both.p50Ms, both.p50Ci),
      latency(both.p99Ms, both.p99Ci),
      ...(both.p999Ms === undefined ? [] : [latency(both.p999Ms, both.p999Ci)]),
      number(both.heapBytesPerOp, 0),
    ]
    lines.push(`| ${cells.join(' | ')} |`)
  }
  return lines.join('\n')
}

/** With half the width of its 95 % interval, where it has one. */
function latency(ms: number, ci?: readonly [number, number]): string {
  return ci === undefined ? number(ms, 2) : `${number(ms, 2)} ± ${number((ci[1] - ci[0]) / 2, 2)}`
}

/** How busy the machine was with others. */
export function machineLine({ loadAtBegin, loadAtEnd, stolen }: Machine): string {
  const steal = stolen === undefined ? 'steal unknown' : `steal ${number(stolen * 100, 1)} %`
  return `load average ${number(loadAtBegin, 2)} at begin, ${number(loadAtEnd, 2)} at end; ${steal}`
}

export function results(
  rows: readonly Row[],
  micro: readonly MicroResult[],
  memory: readonly MemoryResult[],
  plan: Plan,
  machine: Machine,
): string {
  const scenarios = [...new Set(rows.map((row) => row.scenario))]
  const cpu = cpus()
  return `# Results

Made by \`npm run bench\` on Node ${process.version}, ${platform()} ${arch()}, ${cpu.length} × ${cpu[0]?.model.trim() ?? 'unknown CPU'}, ${machineLine(machine)}.
Client and server are processes of their own. Costs are CPU time per operation as the operating system accounts it, over
${plan.generations} × ${plan.rounds} rounds in which every variant has its turn, with new processes for each ${plan.rounds}. "× bare" is the ratio to bare's, a
mean over the ${plan.generations} generations of processes, and "±" its standard error. Rates and latencies are medians of the rounds. One operation of a
streaming scenario is one message. "bytes" are allocated per operation, both sides.
[README.md](README.md) says what the variants are, [docs/performance.md](../docs/performance.md) what to make of it.

${scenarios.map((scenario) => `## ${scenario}\n\n![${scenario}](charts/${scenario}.svg)\n\n${table(rows, scenario)}`).join('\n\n')}

## Alone, without a network

| what | library | ns |
|---|---|--:|
${micro.map(({ what, library, nsPerOp }) => `| ${what} | ${library} | ${number(nsPerOp, 0)} |`).join('\n')}

## Memory

| what | variant | client | server |
|---|---|--:|--:|
${memory.map(({ what, variant, client, server }) => `| ${what} | ${variant} | ${number(client, 0)} | ${number(server, 0)} |`).join('\n')}
`
}

const COLOURS = { ours: '#2563eb', bare: '#64748b', peer: '#d97706' }

/** Bars of one scenario, shortest cost first as listed. Plain SVG, readable in light and dark. */
export function chart(rows: readonly Row[], scenario: Scenario): string {
  const bars = rows.filter((row) => row.scenario === scenario && row.side === 'both')
  const most = Math.max(...bars.map((bar) => bar.cpuUsPerOp))
  const height = bars.length * 28 + 40
  const body = bars.map((bar, i) => {
    const y = i * 28 + 34
    const width = Math.max(2, (bar.cpuUsPerOp / most) * 380)
    const colour = bar.variant === 'bare' ? COLOURS.bare : bar.variant.startsWith('ours') ? COLOURS.ours : COLOURS.peer
    const label = `${bar.cpuUsPerOp.toFixed(1)} µs · ${bar.ratioToBare.toFixed(2)}×`
    return (
      `<text x="212" y="${y + 14}" text-anchor="end">${bar.variant}</text>` +
      `<rect x="220" y="${y}" width="${width.toFixed(1)}" height="20" rx="3" fill="${colour}"/>` +
      `<text x="${(228 + width).toFixed(1)}" y="${y + 14}">${label}</text>`
    )
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${height}" font-family="system-ui, sans-serif" font-size="13">
<title>${scenario}: CPU per operation</title>
<style>text{fill:#334155}@media(prefers-color-scheme:dark){text{fill:#cbd5e1}}</style>
<text x="8" y="20" font-weight="600">${scenario}: CPU per operation, client and server</text>
${body.join('\n')}
</svg>
`
}
