import type { Pattern } from '../contract/method.ts'
import { show } from '../runtime/show.ts'
import { matchService, SPACE } from './match-text.ts'
import { type MethodPredicate, type Naming, withNamings } from './namings.ts'

/** A matcher of methods by what is known of them. All members that are there must hold. */
export interface MethodFacts {
  readonly service?: string | readonly string[]
  readonly method?: string | readonly string[]
  readonly pattern?: Pattern | readonly Pattern[]
}

const PATTERNS: readonly string[] = ['unary', 'clientStream', 'serverStream', 'bidi', 'unknown']

/**
 * Makes a matcher object ready.
 * @throws TypeError naming the member that is wrong.
 */
export function compileFacts(facts: MethodFacts, where: string): MethodPredicate {
  for (const [member, value] of Object.entries(facts)) {
    if (!['service', 'method', 'pattern'].includes(member)) {
      throw new TypeError(`${where}: unknown member "${member}"; a matcher object has service, method and pattern`)
    }
    // Without the member that was meant to narrow it, the object would match more.
    if (value === undefined) throw new TypeError(`${where}.${member}: is undefined; leave the member out for any`)
  }
  const services = names(facts.service, `${where}.service`)
  const methods = names(facts.method, `${where}.method`)
  const patterns = names(facts.pattern, `${where}.pattern`)
  if (services === undefined && methods === undefined && patterns === undefined) {
    throw new TypeError(`${where}: a matcher object needs service, method or pattern`)
  }
  for (const name of methods ?? []) checkMethod(name, `${where}.method`)
  const unknown = patterns?.find((name) => !PATTERNS.includes(name))
  if (unknown) throw new TypeError(`${where}.pattern: expected one of ${PATTERNS.join(', ')}, got "${unknown}"`)

  const ofServices = services?.map((name) => ({ name, test: matchService(name, `${where}.service`) }))
  const inService: MethodPredicate = (method) => ofServices?.some(({ test }) => test(method)) ?? true
  const named: MethodPredicate = (method) => inService(method) && (methods?.includes(method.name) ?? true)
  const matches: MethodPredicate = (method) => named(method) && (patterns?.includes(method.pattern) ?? true)

  const namings: Naming[] = [
    ...(ofServices ?? []).flatMap(({ name, test }) =>
      name === '*' ? [] : [naming({ service: name }, test, 'service', name)],
    ),
    ...(methods ?? []).map((name) =>
      naming(
        { ...(services && { service: facts.service }), method: name },
        (method) => inService(method) && method.name === name,
        'method',
        name,
      ),
    ),
    ...(patterns && (services ?? methods) ? [naming(facts, matches)] : []),
  ]
  return withNamings(matches, namings)
}

function naming(facts: object, matches: MethodPredicate, member?: 'service' | 'method', name = ''): Naming {
  const members = Object.entries(facts).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return { text: `{ ${members.join(', ')} }`, name, matches, ...(member && { member }) }
}

function names(value: unknown, where: string): readonly string[] | undefined {
  if (value === undefined) return undefined
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const bad = values.find((item) => typeof item !== 'string' || item === '')
  if (bad !== undefined || values.length === 0) {
    throw new TypeError(`${where}: expected a string or a list of strings, got ${show(bad ?? value)}`)
  }
  return values as readonly string[]
}

function checkMethod(name: string, where: string): void {
  if (!/[*/]/.test(name) && !SPACE.test(name)) return
  throw new TypeError(
    `${where}: expected the bare name of a method such as "SayHello", got ${show(name)}; leave it out for any`,
  )
}
