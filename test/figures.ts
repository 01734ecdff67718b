import { status as Code } from '@grpc/grpc-js'

/** What was measured: a row per figure, a column per thing that was measured, as docs/scale.md has them. */
export class Figures<Column extends string> {
  readonly #title: string
  readonly #columns: readonly Column[]
  readonly #rows = new Map<string, Map<Column, string>>()

  constructor(title: string, columns: readonly Column[]) {
    this.#title = title
    this.#columns = columns
  }

  /** @param column `all` for what is the same in every one */
  set(what: string, column: Column | 'all', value: string | number): void {
    const row = this.#rows.get(what) ?? new Map<Column, string>()
    this.#rows.set(what, row)
    for (const name of column === 'all' ? this.#columns : [column]) row.set(name, String(value))
  }

  print(): void {
    const lines = [
      [this.#title, ...this.#columns],
      ['---', ...this.#columns.map(() => '--:')],
      ...[...this.#rows].map(([what, row]) => [what, ...this.#columns.map((name) => row.get(name) ?? '–')]),
    ]
    console.log(lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'))
  }
}

/** How a call ended, and when. */
export interface Ended {
  readonly code: Code | undefined
  readonly tookMs: number
}

/** What all calls ended with, and how long the median of them took. */
export function summary(ended: readonly Ended[]): string {
  const codes = [...new Set(ended.map(({ code }) => Code[code ?? Code.UNKNOWN]))]
  const times = ended.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  return `${codes.join()}, ${ms(times[Math.floor(times.length / 2)] ?? Number.NaN)}`
}

export const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
