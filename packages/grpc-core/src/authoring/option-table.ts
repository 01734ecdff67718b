import { isOptionsObject } from '../runtime/options-object.ts'
import { nearestName } from './nearest-name.ts'
import { discreet, kindOf, quoted, type ShowValue } from './option-error.ts'
import { OptionKind, type OptionPlace } from './option-kind.ts'

/**
 * A kind for every option that `Options` declares. `satisfies OptionTable<RetryOptions>` makes it a compile error to declare an
 * option and not read it.
 */
export type OptionTable<Options = Record<string, unknown>> = {
  readonly [Name in keyof Required<Options>]: OptionKind<unknown>
}

/** What `readOptions` returns for a table: every option checked, with its default. */
export type OptionsOf<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionKind<infer Value> ? Value : never
}

export interface ReadOptionsSettings {
  /** How a wrong value is told of. Default: `discreet`, which quotes no text. */
  readonly show?: ShowValue
}

/**
 * Reads options against a table that describes them.
 *
 *     const table = {
 *       maxAttempts: integer({ min: 1 }).default(3),
 *       timeoutMs: milliseconds({ above: 0 }).optional(),
 *       onRetry: func<(event: RetryEvent) => void>().optional(),
 *     } satisfies OptionTable<RetryOptions>
 *
 *     const { maxAttempts, timeoutMs, onRetry } = readOptions('retry', options, table)
 *
 * @param where the factory, which begins each error: `retry: option "maxAttempts" must be an integer ≥ 1, got 0`
 * @throws TypeError naming the option that is unknown, with the nearest known one, or wrong.
 */
export function readOptions<Table extends OptionTable>(
  where: string,
  given: unknown,
  table: Table,
  { show = discreet }: ReadOptionsSettings = {},
): OptionsOf<Table> {
  return readTable({ where, path: '', show }, given, table)
}

/** Reads a value that is no member of options, such as the first argument of `byMetadata(name)`. */
export function readValue<T>(
  where: string,
  name: string,
  value: unknown,
  kind: OptionKind<T>,
  { show = discreet }: ReadOptionsSettings = {},
): T {
  return kind.read(value, { where, path: name, show })
}

/** Options within an option, such as `{ cache: { ttlMs: 5 } }`. An error names the whole path: `option "cache.ttlMs"`. */
export function group<Table extends OptionTable>(table: Table): OptionKind<OptionsOf<Table>> {
  return new OptionKind(['an object'], isOptionsObject, (value, place) => readTable(place, value, table))
}

function readTable<Table extends OptionTable>(place: OptionPlace, given: unknown, table: Table): OptionsOf<Table> {
  const { where, path, show } = place
  const about = path === '' ? where : `${where}: option "${path}"`
  if (!isOptionsObject(given)) {
    throw new TypeError(`${about}: options must be an object, got ${show === quoted ? quoted(given) : kindOf(given)}`)
  }
  const known = Object.keys(table)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(table, name)) throw unknownOption(about, name, known)
  }
  const read: Record<string, unknown> = {}
  for (const name of known) {
    read[name] = (table[name] as OptionKind<unknown>).readFrom(given, name, {
      where,
      path: path === '' ? name : `${path}.${name}`,
      show,
    })
  }
  return read as OptionsOf<Table> // by construction: each name of the table with what its kind returned
}

function unknownOption(about: string, name: string, known: readonly string[]): TypeError {
  const meant = nearestName(name, known)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  return new TypeError(
    `${about}: unknown option ${quoted(name)}${hint === '' ? ';' : hint} known are ${known.join(', ')}`,
  )
}
