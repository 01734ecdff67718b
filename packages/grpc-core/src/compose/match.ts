import type { MethodInfo } from '../contract/method.ts'
import { isMarked } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'
import { synchronous } from '../runtime/thenable.ts'
import { compileFacts, type MethodFacts } from './match-facts.ts'
import { matchPath, matchService, splitText } from './match-text.ts'
import { type MethodPredicate, type Naming, namingsOf, withNamings } from './namings.ts'

/**
 * Which methods something applies to:
 *
 * - a string: `/pkg.Service/Method` (that method), `pkg.Service` (that service), `pkg.*` (every service of the package
 *   and of packages below it), `*` (all); `*` also stands for the method: `/pkg.Service/*`, or `pkg.Service/*`;
 * - a RegExp, tested against the path;
 * - an object, all of whose members must hold: `{ service, method, pattern }`, each one value or a list; `service`
 *   takes `*` as above, `method` is the bare method name;
 * - a predicate over the method;
 * - a list: any of its matchers.
 *
 * Names are those of the `.proto` file, not those of generated code: `SayHello`, not `sayHello`. A server of `createServer`
 * refuses to bind where what a string or an object names is none of its methods.
 */
export type Matcher = string | RegExp | MethodFacts | ((method: MethodInfo) => boolean) | readonly Matcher[]

/**
 * Matches what none of these matches.
 * @throws TypeError for a matcher that is malformed, and for none: it would match everything.
 */
export function not(...matchers: readonly Matcher[]): MethodPredicate {
  const tests = compileAll(matchers, 'not')
  return combined(tests, (method) => !tests.some((test) => test(method)))
}

/**
 * Matches what at least one of these matches.
 * @throws TypeError for a matcher that is malformed, and for none.
 */
export function any(...matchers: readonly Matcher[]): MethodPredicate {
  const tests = compileAll(matchers, 'any')
  return combined(tests, (method) => tests.some((test) => test(method)))
}

/**
 * Matches what every one of these matches.
 * @throws TypeError for a matcher that is malformed, and for none: it would match everything.
 */
export function all(...matchers: readonly Matcher[]): MethodPredicate {
  const tests = compileAll(matchers, 'all')
  return combined(tests, (method) => tests.every((test) => test(method)))
}

/**
 * The standard health and reflection services, which callers reach before they can have credentials. A server need not have
 * them.
 */
export const healthAndReflection: MethodPredicate = withNamings(any('grpc.health.v1.Health', 'grpc.reflection.*'), [])

/**
 * Makes a matcher ready. What a predicate of the application throws, the result throws: it is never taken for a no.
 * @param where names the option in the error, such as `retry: option "idempotent"`
 * @throws TypeError if the matcher is malformed.
 */
export function compileMatcher(matcher: Matcher, where: string): MethodPredicate {
  // A list may come from a configuration and have no entry today. Within another matcher, what is left is not what was meant.
  return Array.isArray(matcher) && matcher.length === 0 ? withNamings(() => false, []) : compile(matcher, where)
}

function compile(matcher: Matcher, where: string): MethodPredicate {
  if (typeof matcher === 'string') return compileText(matcher, where)
  if (typeof matcher === 'function') return compilePredicate(matcher, where)
  if (matcher instanceof RegExp) {
    // A copy without the flags that make `test` remember where it stopped.
    const pattern = new RegExp(matcher.source, matcher.flags.replace(/[gy]/g, ''))
    return withNamings((method) => pattern.test(method.path), [])
  }
  if (Array.isArray(matcher)) {
    if (matcher.length === 0) throw new TypeError(`${where}: an empty list matches no method`)
    const tests = matcher.map((item: Matcher, i) => compile(item, `${where}[${i}]`))
    return combined(tests, (method) => tests.some((test) => test(method)))
  }
  if (typeof matcher === 'object' && matcher !== null) return compileFacts(matcher as MethodFacts, where)
  throw new TypeError(`${where}: a matcher is a path, service or pattern, got ${show(matcher)}`)
}

function compileAll(matchers: readonly Matcher[], where: string): readonly MethodPredicate[] {
  if (matchers.length === 0) throw new TypeError(`${where}: needs at least one matcher`)
  return matchers.map((matcher) => compile(matcher, where))
}

function combined(tests: readonly MethodPredicate[], predicate: MethodPredicate): MethodPredicate {
  return withNamings(predicate, tests.flatMap(namingsOf))
}

function compilePredicate(predicate: MethodPredicate, where: string): MethodPredicate {
  if (isMarked(predicate)) {
    throw new TypeError(`${where}: ${predicate.name} is an interceptor; a matcher of methods is what is expected`)
  }
  // What is no boolean would be taken for a yes, or for a no that leaves authentication out.
  const answering: MethodPredicate = (method) => {
    const answer: unknown = synchronous(predicate(method), `${where}: a predicate`)
    if (typeof answer === 'boolean') return answer
    throw new TypeError(`${where}: a predicate must return true or false, got ${show(answer)}`)
  }
  return withNamings(answering, namingsOf(predicate))
}

function compileText(text: string, where: string): MethodPredicate {
  const { service, method } = splitText(text, where)
  const matches = method === '*' ? matchService(service, where) : matchPath(text)
  const namings: Naming[] = service === '*' ? [] : [{ text: JSON.stringify(text), name: text, matches }]
  return withNamings((method) => matches(method), namings)
}
