import { type Contents, contentsOf } from '../compose/contents.ts'
import {
  heldNamings,
  type Matchers,
  type MethodPredicate,
  type Naming,
  namingsIn,
  namingsOf,
} from '../compose/namings.ts'
import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { type RegisteredMethod, suggestMethod } from './suggest-method.ts'

/** What is wrong with the matchers of a stack, for the methods of a server. */
export interface Mismatch {
  /** Matchers that name none of the methods. */
  readonly unmatched: readonly string[]
  /** Methods that a table leaves without an entry. */
  readonly uncovered: readonly string[]
  /** Each interceptor in the stack, those in composites too. */
  readonly interceptors: readonly Interceptor[]
}

/** Which of these matchers name none of the methods that a server has. */
export function unmatchedOf(matchers: Matchers, methods: readonly RegisteredMethod[]): readonly string[] {
  const comparison = new Comparison(methods)
  comparison.matchers(matchers)
  return comparison.unmatched
}

/** Compares the matchers in a stack with the methods that a server has. */
export function compareWithMethods(list: readonly Interceptor[], methods: readonly RegisteredMethod[]): Mismatch {
  const comparison = new Comparison(methods)
  comparison.list(list, methods, 'interceptor')
  return comparison
}

class Comparison implements Mismatch {
  readonly unmatched: string[] = []
  readonly uncovered: string[] = []
  readonly interceptors: Interceptor[] = []
  readonly #methods: readonly RegisteredMethod[]

  constructor(methods: readonly RegisteredMethod[]) {
    this.#methods = methods
  }

  matchers(matchers: Matchers): void {
    for (const naming of namingsIn(matchers)) this.#compare(naming, `option "${naming.option}":`)
  }

  /** @param reached the methods that come to this list */
  list(list: readonly Interceptor[], reached: readonly MethodInfo[], at: string): void {
    for (const [i, interceptor] of list.entries()) {
      const place = `${at} ${i} (${interceptor.name})`
      this.interceptors.push(interceptor)
      for (const naming of heldNamings(interceptor)) this.#compare(naming, `${place}: option "${naming.option}":`)
      const contents = contentsOf(interceptor)
      if (contents !== undefined) this.#composite(contents, reached, place)
    }
  }

  #composite({ name, branches, exclusive }: Contents, reached: readonly MethodInfo[], place: string): void {
    let left = reached
    for (const { at, matches, list } of branches) {
      for (const naming of namingsOf(matches)) this.#compare(naming, `${place}: ${exclusive ? 'key' : 'matcher'}`)
      // Predicates of the application are asked only where a table has to know.
      const inside = list.some(holdsTable) ? left.filter((method) => mayMatch(matches, method)) : left
      this.list(list, inside, `${place}, ${at}interceptor`)
      if (exclusive) left = left.filter((method) => !mayMatch(matches, method))
    }
    if (exclusive && left.length > 0) this.uncovered.push(...uncoveredBy(name, left, reached, place))
  }

  #compare(naming: Naming, place: string): void {
    if (this.#methods.some((method) => mayMatch(naming.matches, method))) return
    const meant = suggestMethod(naming, this.#methods)
    const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
    const problem = `${place} ${naming.text} names none of its methods${hint}`
    if (!this.unmatched.includes(problem)) this.unmatched.push(problem)
  }
}

function uncoveredBy(
  name: string,
  left: readonly MethodInfo[],
  reached: readonly MethodInfo[],
  place: string,
): string[] {
  const services = [...new Set(left.map(({ service }) => service))]
  return services.map((service) => {
    const of = (methods: readonly MethodInfo[]) => methods.filter((method) => method.service === service)
    const whole = of(left).length === of(reached).length
    const what = whole ? [service] : of(left).map(({ path }) => path)
    return `${place}: no entry of ${name} is for ${what.join(', ')}; give it one, "${what[0]}": [], or add "*"`
  })
}

function holdsTable(interceptor: Interceptor): boolean {
  const contents = contentsOf(interceptor)
  return contents !== undefined && (contents.exclusive || contents.branches.some(({ list }) => list.some(holdsTable)))
}

/** A predicate of the application may throw. It throws again when a call asks it, and the call ends with that error. */
function mayMatch(matches: MethodPredicate, method: MethodInfo): boolean {
  try {
    return matches(method)
  } catch {
    return true
  }
}
