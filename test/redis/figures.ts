import { CLIENTS, type ClientName } from './clients.ts'

/** What was measured: a row per figure, a column per client, as docs/scale.md has them. */
export class Figures {
  readonly #title: string
  readonly #rows = new Map<string, Map<ClientName, string>>()

  constructor(title: string) {
    this.#title = title
  }

  /** @param client `all` for what is the same for every client */
  set(what: string, client: ClientName | 'all', value: string | number): void {
    const row = this.#rows.get(what) ?? new Map<ClientName, string>()
    this.#rows.set(what, row)
    for (const name of client === 'all' ? CLIENTS : [client]) row.set(name, String(value))
  }

  print(): void {
    const lines = [
      [this.#title, ...CLIENTS],
      ['---', ...CLIENTS.map(() => '--:')],
      ...[...this.#rows].map(([what, row]) => [what, ...CLIENTS.map((name) => row.get(name) ?? '–')]),
    ]
    console.log(lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'))
  }
}
