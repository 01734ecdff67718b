/**
 * Parses what one call after the other brings, such as the address of the peer. A connection carries many calls, so the
 * last text is likely the next one too.
 */
export class LastParsed<T> {
  readonly #parse: (text: string) => T
  #last: { readonly text: string; readonly value: T } | undefined

  constructor(parse: (text: string) => T) {
    this.#parse = parse
  }

  parse(text: string): T {
    if (this.#last?.text !== text) this.#last = { text, value: this.#parse(text) }
    return this.#last.value
  }
}
