import type { MethodPredicate } from '@grpc-stack/grpc-core'
import {
  accepts,
  invalidOption,
  listOf,
  matcher,
  OptionKind,
  type OptionPlace,
  text,
  type WallClock,
  wallClock,
} from '@grpc-stack/grpc-core/authoring'

/** One text or a list of them, none of them empty. Read as a list. */
export const texts: OptionKind<readonly string[]> = oneOrMore(text(), 'a text or a list of texts')

/** One value or a list of at least one. Read as a list. */
export function oneOrMore<T>(item: OptionKind<T>, expected: string): OptionKind<readonly T[]> {
  const list = listOf(item, { min: 1 })
  return new OptionKind(
    [expected],
    (value) => (Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null),
    (value: unknown, place) => (Array.isArray(value) ? list.read(value, place) : [item.read(value, place)]),
  )
}

/** An object with at least one member, all of whose members are of one kind. */
export function membersOf<T>(
  item: OptionKind<T>,
  checkName: (name: string, place: OptionPlace) => void = () => undefined,
): OptionKind<ReadonlyMap<string, T>> {
  return new OptionKind(
    ['an object with at least one member'],
    (value) => isObject(value) && Object.keys(value).length > 0,
    (value: object, place) => {
      for (const name of Object.keys(value)) checkName(name, place)
      return membersAs(item, value, place)
    },
  )
}

/** Texts by name, such as HTTP headers. Errors quote none of them. */
export const textsByName: OptionKind<Readonly<Record<string, string>>> = new OptionKind(
  ['an object of texts'],
  isObject,
  (value: object, place) => Object.fromEntries(membersAs(text().secret(), value, place)),
)

function membersAs<T>(item: OptionKind<T>, value: object, place: OptionPlace): ReadonlyMap<string, T> {
  const members = Object.entries(value).map(([name, member]): [string, T] => [
    name,
    item.read(member, { ...place, path: `${place.path}.${name}` }),
  ])
  return new Map(members)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The table of options whose kinds are those of the options themselves. */
export type TableOf<Options> = { readonly [Name in keyof Required<Options>]: OptionKind<Required<Options>[Name]> }

/**
 * Methods that a rule is about or that are public. A member that is `undefined` is refused, because without it more methods match.
 */
export const methods: OptionKind<MethodPredicate> = matcherWithoutHoles()

function matcherWithoutHoles(): OptionKind<MethodPredicate> {
  const kind = matcher()
  return new OptionKind(
    [kind.expected],
    (value) => value !== undefined,
    (value: unknown, place) => {
      refuseHoles(value, place)
      return kind.read(value, place)
    },
  )
}

function refuseHoles(value: unknown, place: OptionPlace): void {
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return
  for (const [name, member] of Object.entries(value)) {
    const path = Array.isArray(value) ? `${place.path}[${name}]` : `${place.path}.${name}`
    if (member === undefined) {
      const error = invalidOption(place.where, path, 'given', member, place.show)
      throw new TypeError(`${error.message}; without it more methods match, so leave it out if that is meant`)
    }
    refuseHoles(member, { ...place, path })
  }
}

/** A text of a form. */
export function textLike(form: RegExp, expected: string): OptionKind<string> {
  return accepts(expected, (value): value is string => typeof value === 'string' && form.test(value))
}

/** An authorization scheme: RFC 9110 calls it a token. */
export const scheme: OptionKind<string> = textLike(/^[\w!#$%&'*+.^`|~-]+$/, 'one word')

/** Names of metadata keys, as grpc-js takes them. */
export const metadataKey: OptionKind<string> = textLike(/^[0-9a-z_.-]+$/i, 'the name of a metadata key')

/** Expiry is a moment that another machine names. */
export const clock: OptionKind<WallClock> = wallClock()
