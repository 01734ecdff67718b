import { quoted } from '@grpc-stack/grpc-core/authoring'
import type { ListedPattern } from './policy-match.ts'

/** What a rule says about authenticators. */
export interface AuthenticatorNaming extends ListedPattern {
  /** The member of the table: `allow["readers"].authenticators`. */
  readonly option: string
}

/**
 * Compares what rules say about authenticators with those that there are.
 * @param at the path of the table among the options, with a dot behind, or empty
 * @throws TypeError for a rule that names none of them, or one of several that have the same name.
 */
export function checkAuthenticatorNames(
  where: string,
  at: string,
  namings: readonly AuthenticatorNaming[],
  names: readonly string[],
): void {
  for (const { option, text, matches } of namings) {
    const place = `${where}: option "${at}${option}": ${quoted(text)}`
    if (!names.some(matches)) {
      const hint = `a function is named by bearer(verify, { name: ${quoted(text)} })`
      throw new TypeError(`${place} is none of the authenticators, which are ${names.join(', ')}; ${hint}`)
    }
    if (names.filter((name) => name === text).length > 1) {
      throw new TypeError(
        `${place} is the name of several authenticators; give each a name of its own, such as by bearer(verify, { name })`,
      )
    }
  }
}

const JUDGES: unique symbol = Symbol.for('@grpc-stack/interceptor-auth.authenticators')

type Judge = (where: string, at: string, names: readonly string[]) => void

/** Says how an `authorize` function is told the names of the authenticators that it decides after. */
export function hearsAuthenticators<T extends object>(authorize: T, judge: Judge): T {
  return Object.defineProperty(authorize, JUDGES, { value: judge })
}

/**
 * Tells an `authorize` function, which may be a policy of any copy of this package, the names of the authenticators.
 * @throws TypeError if its rules do not fit them.
 */
export function tellAuthenticators(authorize: unknown, where: string, at: string, names: readonly string[]): void {
  ;(authorize as { [JUDGES]?: Judge } | undefined)?.[JUDGES]?.(where, at, names)
}
