import { invalidOption, type ShowValue } from './option-error.ts'

/** Where an option stands, for its errors. */
export interface OptionPlace {
  readonly where: string
  /** The name, with the names of the options around it: `cache.ttlMs`. */
  readonly path: string
  readonly show: ShowValue
}

/** Reads a value that is of the right type, and throws if it is out of range. */
export type ParseOption<T> = (value: never, place: OptionPlace, refuse: (value: unknown) => TypeError) => T

/** What one option may be, and what holds where it is not given. Immutable: the methods return another kind. */
export class OptionKind<T> {
  readonly #alternatives: readonly string[]
  readonly #fits: (value: unknown) => boolean
  readonly #parse: ParseOption<T>
  readonly #absent: { readonly value: T } | undefined
  readonly #undefinedHint: string | undefined

  /**
   * @param alternatives what may be written, for errors: `['"service"', 'a function']`
   * @param fits whether a value is of this type
   * @param parse checks the range of one that is
   */
  constructor(
    alternatives: readonly string[],
    fits: (value: unknown) => boolean,
    parse: ParseOption<T>,
    absent?: { readonly value: T },
    undefinedHint?: string,
  ) {
    this.#alternatives = alternatives
    this.#fits = fits
    this.#parse = parse
    this.#absent = absent
    this.#undefinedHint = undefinedHint
  }

  /** `an integer ≥ 1`, `"full" or "none"` */
  get expected(): string {
    const [last = '', ...others] = [...this.#alternatives].reverse()
    return others.length === 0 ? last : `${others.reverse().join(', ')} or ${last}`
  }

  /** An option that may be left out. */
  default(value: T): OptionKind<T> {
    return this.#with<T>({ absent: { value } })
  }

  optional(): OptionKind<T | undefined> {
    return this.#with<T | undefined>({ absent: { value: undefined } })
  }

  /**
   * Refuses `undefined` where it is written out, which otherwise counts as left out. For options whose absence is the more open
   * choice: `{ authorize: rules.authorise }` must not let everything pass.
   * @param hint what to do instead, for the error
   */
  refusingUndefined(hint: string): OptionKind<T> {
    return this.#with<T>({ undefinedHint: hint })
  }

  /** The same with other words in its error. */
  expecting(expected: string): OptionKind<T> {
    return this.#with<T>({ alternatives: [expected] })
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
    if (value !== undefined || this.#absent === undefined) return this.read(value, place)
    if (this.#undefinedHint === undefined || !(name in options)) return this.#absent.value
    throw new TypeError(`${this.#refuse(value, place).message}; ${this.#undefinedHint}`)
  }

  /** @throws TypeError if it is none of this kind */
  read(value: unknown, place: OptionPlace): T {
    if (!this.#fits(value)) throw this.#refuse(value, place)
    return this.#parse(value as never, place, (wrong) => this.#refuse(wrong, place))
  }

  #refuse(value: unknown, { where, path, show }: OptionPlace): TypeError {
    return invalidOption(where, path, this.expected, value, show)
  }

  #with<U>(change: {
    readonly alternatives?: readonly string[]
    readonly absent?: { readonly value: U }
    readonly undefinedHint?: string
  }): OptionKind<U> {
    return new OptionKind<U>(
      change.alternatives ?? this.#alternatives,
      this.#fits,
      this.#parse as ParseOption<never>,
      change.absent ?? (this.#absent as { readonly value: U } | undefined),
      change.undefinedHint ?? this.#undefinedHint,
    )
  }
}
