import { readFileSync, writeFileSync } from 'node:fs'
import type { ProxiedResult } from './faults/proxied.ts'
import type { RawPeerResult } from './faults/raw-peer.ts'
import type { FuzzResult } from './fuzz/fuzz.ts'
import { knownDifferences } from './fuzz/known-differences.ts'
import { type Section, table, written } from './section.ts'

export function fuzzSection({ scripts, rows, failures }: FuzzResult): Section {
  return {
    title: `${scripts} random RPCs, each run through:`,
    head: ['', 'runs', 'compared with bare', 'known differences', 'differed once', 'faults'],
    rows: rows.map((one) => [one.world, one.runs, one.compared, one.known, one.unsteady, one.failed]),
    notes: ['Known differences:', '', ...knownDifferences.map(({ what, kind }) => `- ${KINDS[kind]}: ${what}`)],
    calls: rows.reduce((sum, { runs }) => sum + runs, 0),
    faults: failures.length,
  }
}

const KINDS = { meant: 'meant', 'grpc-js': 'of grpc-js', open: 'to be repaired' } as const

export function proxiedSection({ worlds, runs, failures }: ProxiedResult): Section {
  return {
    title: `Connections disturbed under ${worlds} stacks:`,
    head: ['', 'calls', 'faults'],
    rows: withTotal(runs, failures),
    calls: total(runs),
    faults: failures,
  }
}

export function rawPeerSection(kind: string, { compared, calls, failures }: RawPeerResult): Section {
  return {
    title: `Answers of a peer ${kind}, ${compared} of them compared with a client without interceptors:`,
    head: ['', 'calls', 'faults'],
    rows: withTotal(calls, failures),
    calls: total(calls),
    faults: failures,
  }
}

function withTotal(counts: ReadonlyMap<string, number>, failures: number): (string | number)[][] {
  return [...[...counts].map(([name, count]) => [name, count, '']), ['all', total(counts), failures]]
}

const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

/** What one part of a run came to: how it was run, and its tables. */
export function partReport(sections: readonly Section[], how: string): string {
  return [how, ...sections.map(written)].join('\n\n')
}

/** Puts the report of a part between its marks in a page. */
export function writeReport(page: string, part: string, text: string): void {
  replaceIn(page, part, () => text)
}

/** Puts a row into the table of a part, in the place of the one with the same first cell. */
export function writeRow(page: string, part: string, head: Section['head'], row: Section['rows'][number]): void {
  replaceIn(page, part, (before) => {
    const rows = before.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith(`| ${head[0]} |`))
    const others = rows.map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    const all = [...others.filter(([first]) => first !== row[0]), row]
    return table(
      head,
      all.sort((a, b) => String(a[0]).localeCompare(String(b[0]), 'en', { numeric: true })),
    ).join('\n')
  })
}

function replaceIn(page: string, part: string, text: (before: string) => string): void {
  const before = readFileSync(page, 'utf8')
  const begin = `<!-- ${part}: written by npm run chaos -- --write -->`
  const end = `<!-- end of ${part} -->`
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${page} has not the lines "${begin}" and "${end}"`)
  const inside = text(before.slice(from + begin.length, to).trim())
  writeFileSync(page, `${before.slice(0, from + begin.length)}\n\n${inside}\n\n${before.slice(to)}`)
}
