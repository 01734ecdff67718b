import type { MethodInfo, Pattern } from '../contract/method.ts'
import { show } from '../runtime/show.ts'
import { isThenable } from '../runtime/thenable.ts'

/**
 * Which methods something applies to:
 *
 * - a string: `/pkg.Service/Method` (that method), `pkg.Service` (that service), `pkg.*` (every service of the package
 *   and of packages below it), `*` (all); `*` also stands for the method: `/pkg.Service/*`;
 * - a RegExp, tested against the path;
 * - an object, all of whose members must hold: `{ service, method, pattern }`, each one value or a list; `service`
 *   takes `*` as above, `method` is the bare method name;
 * - a predicate over the method;
 * - a list: any of its matchers.
 */
export type Matcher = string | RegExp | MethodFacts | ((method: MethodInfo) => boolean) | readonly Matcher[]

export interface MethodFacts {
  readonly service?: string | readonly string[]
  readonly method?: string | readonly string[]
  readonly pattern?: Pattern | readonly Pattern[]
}

/** A matcher made ready: asked once per method path, never per call. */
export type MethodPredicate = (method: MethodInfo) => boolean

/** Matches what none of these matches. */
export function not(...matchers: readonly Matcher[]): MethodPredicate {
  const test = any(...matchers)
  return (method) => !test(method)
}

/** Matches what at least one of these matches. */
export function any(...matchers: readonly Matcher[]): MethodPredicate {
  const tests = matchers.map((matcher) => compileMatcher(matcher, 'any'))
  return (method) => tests.some((test) => test(method))
}

/** Matches what every one of these matches. */
export function all(...matchers: readonly Matcher[]): MethodPredicate {
  const tests = matchers.map((matcher) => compileMatcher(matcher, 'all'))
  return (method) => tests.every((test) => test(method))
}

/** The standard health and reflection services, which callers reach before they can have credentials. */
export const healthAndReflection: MethodPredicate = any('grpc.health.v1.Health', 'grpc.reflection.*')

const PATTERNS: readonly string[] = ['unary', 'clientStream', 'serverStream', 'bidi', 'unknown']

/**
 * Makes a matcher ready. What a predicate of the application throws, the result throws: it is never taken for a no.
 * @param where names the option in the error, such as `retry: option "idempotent"`
 * @throws TypeError if the matcher is malformed.
 */
export function compileMatcher(matcher: Matcher, where: string): MethodPredicate {
  if (typeof matcher === 'string') return compileText(matcher, where)
  if (typeof matcher === 'function') return answering(matcher, where)
  if (matcher instanceof RegExp) {
    // A copy without the flags that make `test` remember where it stopped.
    const pattern = new RegExp(matcher.source, matcher.flags.replace(/[gy]/g, ''))
    return (method) => pattern.test(method.path)
  }
  if (Array.isArray(matcher)) {
    const tests = matcher.map((item: Matcher, i) => compileMatcher(item, `${where}[${i}]`))
    return (method) => tests.some((test) => test(method))
  }
  if (typeof matcher === 'object' && matcher !== null) return compileFacts(matcher as MethodFacts, where)
  throw new TypeError(`${where}: a matcher is a path, service or pattern, got ${show(matcher)}`)
}

/** A promise would be taken for a yes, whatever it comes to. */
function answering(predicate: MethodPredicate, where: string): MethodPredicate {
  return (method) => {
    const answer: unknown = predicate(method)
    if (!isThenable(answer)) return Boolean(answer)
    Promise.resolve(answer).catch(() => undefined)
    throw new TypeError(`${where}: a predicate must answer at once, got a promise`)
  }
}

function compileText(text: string, where: string): MethodPredicate {
  if (text === '*') return () => true
  if (text.startsWith('/')) {
    const [, service, name, ...rest] = text.split('/')
    if (!service || !name || rest.length > 0) throw malformed(text, where)
    if (name === '*') return matchService(service, where)
    if (text.includes('*')) throw malformed(text, where)
    return (method) => method.path === text
  }
  if (text === '' || text.includes('/')) throw malformed(text, where)
  return matchService(text, where)
}

function matchService(service: string, where: string): MethodPredicate {
  if (service === '*') return () => true
  if (service.endsWith('.*')) {
    const prefix = service.slice(0, -1)
    if (prefix.includes('*') || prefix === '.') throw malformed(service, where)
    return (method) => method.service.startsWith(prefix)
  }
  if (service.includes('*')) throw malformed(service, where)
  return (method) => method.service === service
}

function compileFacts(facts: MethodFacts, where: string): MethodPredicate {
  const tests: MethodPredicate[] = []
  for (const [key, value] of Object.entries(facts) as [string, unknown][]) {
    if (value === undefined) continue
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    const bad = values.find((item) => typeof item !== 'string' || item === '')
    if (bad !== undefined || values.length === 0) {
      throw new TypeError(`${where}.${key}: expected a string or a list of strings, got ${show(bad ?? value)}`)
    }
    const names = values as readonly string[]
    if (key === 'service') {
      const services = names.map((name) => matchService(name, `${where}.service`))
      tests.push((method) => services.some((test) => test(method)))
    } else if (key === 'method') {
      tests.push((method) => names.includes(method.name))
    } else if (key === 'pattern') {
      const unknown = names.find((name) => !PATTERNS.includes(name))
      if (unknown) throw new TypeError(`${where}.pattern: expected one of ${PATTERNS.join(', ')}, got "${unknown}"`)
      tests.push((method) => names.includes(method.pattern))
    } else {
      throw new TypeError(`${where}: unknown member "${key}"; a matcher object has service, method and pattern`)
    }
  }
  if (tests.length === 0) throw new TypeError(`${where}: a matcher object needs service, method or pattern`)
  return (method) => tests.every((test) => test(method))
}

function malformed(text: string, where: string): TypeError {
  return new TypeError(
    `${where}: malformed matcher ${show(text)}; write "/pkg.Service/Method", "pkg.Service", "pkg.*" or "*"`,
  )
}
