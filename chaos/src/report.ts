import type { FuzzResult } from './fuzz/fuzz.ts'

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)]
}

export function fuzzTable({ scripts, rows }: FuzzResult): string[] {
  return [
    `${scripts} scripts, each run through:`,
    '',
    ...table(
      ['', 'runs', 'compared with bare', 'known differences', 'differed once', 'faults'],
      rows.map(({ world, runs, compared, known, unsteady, failed }) => [
        world,
        runs,
        compared,
        known,
        unsteady,
        failed,
      ]),
    ),
  ]
}
