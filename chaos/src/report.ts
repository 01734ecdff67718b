import { readFileSync, writeFileSync } from 'node:fs'
import type { ProxiedResult } from './faults/proxied.ts'
import type { RawPeerResult } from './faults/raw-peer.ts'
import type { FuzzResult } from './fuzz/fuzz.ts'
import { knownDifferences } from './fuzz/known-differences.ts'
import type { SoakResult } from './soak.ts'

export interface Results {
  readonly seed: number
  readonly fuzzed: FuzzResult
  readonly proxied: ProxiedResult | undefined
  readonly raw: RawPeerResult | undefined
  readonly soaked: SoakResult | undefined
}

/** Everything a run came to, in Markdown. */
export function report({ seed, fuzzed, proxied, raw, soaked }: Results): string {
  const lines = [`Seed ${seed}, Node ${process.version}.`, '', ...fuzzTable(fuzzed)]
  if (proxied !== undefined) {
    lines.push('', `Connections disturbed under ${proxied.worlds} stacks:`, '')
    lines.push(...table(['', 'calls', 'faults'], [...proxied.runs, ['all', proxied.failures]].map(row)))
  }
  if (raw !== undefined) {
    lines.push(
      '',
      `Answers of a peer of bare HTTP/2, ${raw.compared} of them compared with a client without interceptors:`,
    )
    lines.push('', ...table(['', 'calls', 'faults'], [...raw.calls, ['all', raw.failures]].map(row)))
  }
  if (soaked !== undefined) {
    lines.push('', `${soaked.calls} random calls of the full stack, one after the other on eight connections:`, '')
    const samples = soaked.samples.map(({ heapBytes, resources }, at) => [
      `${at + 1} of ${soaked.samples.length}`,
      (heapBytes / 1e6).toFixed(1),
      resources,
    ])
    lines.push(...table(['', 'heap, MB', 'handles and timers'], samples))
  }
  return lines.join('\n')
}

function row(entry: readonly [string, number] | (string | number)[]): (string | number)[] {
  const [name = '', count = 0] = entry
  return name === 'all' ? [name, '', count] : [name, count, '']
}

function fuzzTable({ scripts, rows }: FuzzResult): string[] {
  return [
    `${scripts} random RPCs, each run through:`,
    '',
    ...table(
      ['', 'runs', 'compared with bare', 'known differences', 'differed once', 'faults'],
      rows.map((one) => [one.world, one.runs, one.compared, one.known, one.unsteady, one.failed]),
    ),
    '',
    'Known differences:',
    '',
    ...knownDifferences.map(({ what, kind }) => `- ${KINDS[kind]}: ${what}`),
  ]
}

const KINDS = { meant: 'meant', 'grpc-js': 'of grpc-js', open: 'to be repaired' } as const

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)]
}

const BEGIN = '<!-- written by npm run chaos -- --write -->'
const END = '<!-- end of what is written -->'

/** Puts the report between the marks in a page. */
export function writeReport(page: string, text: string): void {
  const before = readFileSync(page, 'utf8')
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${page} has not the lines "${BEGIN}" and "${END}"`)
  writeFileSync(page, `${before.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${before.slice(end)}`)
}
