import { invalidOption, kindOf, type ShowValue } from './option-error.ts'

/** Where an option stands, for its errors. */
export interface OptionPlace {
  readonly where: string
  /** The name, with the names of the options around it: `cache.ttlMs`. */
  readonly path: string
  readonly show: ShowValue
}

/** Reads a value that is of the right type, and throws if it is out of range. */
export type ParseOption<T> = (value: never, place: OptionPlace, refuse: (value: unknown) => TypeError) => T

/** What holds beside the type of an option. */
export interface OptionSettings<T> {
  /** What holds where it is not given. Without, it must be given. */
  readonly absent?: { readonly value: T } | undefined
  /** Refuses `undefined` where it is written out, and says what to do instead. */
  readonly undefinedHint?: string | undefined
  /** Errors tell nothing of the value, whatever it is. */
  readonly secret?: boolean | undefined
}

/** What one option may be, and what holds where it is not given. Immutable: the methods return another kind. */
export class OptionKind<T> {
  readonly #alternatives: readonly string[]
  readonly #fits: (value: unknown) => boolean
  readonly #parse: ParseOption<T>
  readonly #settings: OptionSettings<T>

  /**
   * @param alternatives what may be written, for errors: `['"service"', 'a function']`
   * @param fits whether a value is of this type
   * @param parse checks the range of one that is
   */
  constructor(
    alternatives: readonly string[],
    fits: (value: unknown) => boolean,
    parse: ParseOption<T>,
    settings: OptionSettings<T> = {},
  ) {
    this.#alternatives = alternatives
    this.#fits = fits
    this.#parse = parse
    this.#settings = settings
  }

  /** `an integer ≥ 1`, `"full" or "none"` */
  get expected(): string {
    const [last = '', ...others] = [...this.#alternatives].reverse()
    return others.length === 0 ? last : `${others.reverse().join(', ')} or ${last}`
  }

  /** An option that may be left out. */
  default(value: T): OptionKind<T> {
    return this.#with({ absent: { value } })
  }

  optional(): OptionKind<T | undefined> {
    const parse: ParseOption<T | undefined> = this.#parse
    return new OptionKind(this.#alternatives, this.#fits, parse, { ...this.#settings, absent: { value: undefined } })
  }

  /**
   * Refuses `undefined` where it is written out, which otherwise counts as left out. For options whose absence is the more open
   * choice: `{ authorize: rules.authorise }` must not let everything pass.
   * @param hint what to do instead, for the error
   */
  refusingUndefined(hint: string): OptionKind<T> {
    return this.#with({ undefinedHint: hint })
  }

  /** For a token, a password or a key: errors tell only whether it is a text, a number or an object. */
  secret(): OptionKind<T> {
    return this.#with({ secret: true })
  }

  /** The same with other words in its error. */
  expecting(expected: string): OptionKind<T> {
    return new OptionKind([expected], this.#fits, this.#parse, this.#settings)
  }

  /** One of two kinds: this one for values of its type. */
  or<U>(other: OptionKind<U>): OptionKind<T | U> {
    return new OptionKind<T | U>(
      [...this.#alternatives, ...other.#alternatives],
      (value) => this.#fits(value) || other.#fits(value),
      (value, place) => (this.#fits(value) ? this.read(value, place) : other.read(value, place)),
    )
  }

  /** What an option of `options` is, or its default. */
  readFrom(options: Readonly<Record<string, unknown>>, name: string, place: OptionPlace): T {
    const value = options[name]
    const { absent, undefinedHint } = this.#settings
    if (value !== undefined || absent === undefined) return this.read(value, place)
    if (undefinedHint === undefined || !(name in options)) return absent.value
    throw new TypeError(`${this.#refuse(value, place).message}; ${undefinedHint}`)
  }

  /** @throws TypeError if it is none of this kind */
  read(value: unknown, place: OptionPlace): T {
    if (!this.#fits(value)) throw this.#refuse(value, place)
    return this.#parse(value as never, place, (wrong) => this.#refuse(wrong, place))
  }

  #refuse(value: unknown, { where, path, show }: OptionPlace): TypeError {
    return invalidOption(where, path, this.expected, value, this.#settings.secret ? kindOf : show)
  }

  #with(change: OptionSettings<T>): OptionKind<T> {
    return new OptionKind(this.#alternatives, this.#fits, this.#parse, { ...this.#settings, ...change })
  }
}
