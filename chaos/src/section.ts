/** One table of the report, and what is said around it. */
export interface Section {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
  /** Under the table. */
  readonly notes?: readonly string[]
  /** RPCs made. */
  readonly calls: number
  /** How often something was not as it must be. */
  readonly faults: number
}

/** What every part of a run is told. */
export interface PartOptions {
  readonly seed: number
  /** Smaller numbers, so that all parts together take a few minutes. */
  readonly quick: boolean
  readonly say: (line: string) => void
}

/** In Markdown. */
export function written({ title, head, rows, notes = [] }: Section): string {
  return [title, '', ...table(head, rows), ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')
}

export function table(head: readonly string[], rows: Section['rows']): string[] {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)]
}
