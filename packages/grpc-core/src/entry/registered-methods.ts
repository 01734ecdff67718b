import type { ServiceDefinition } from '@grpc/grpc-js'
import { type Matchers, watchMatchers } from '../compose/namings.ts'
import type { Interceptor } from '../contract/call.ts'
import { describeMethod } from '../contract/method.ts'
import { compareWithMethods, unmatchedOf } from './matched-methods.ts'
import type { RegisteredMethod } from './suggest-method.ts'

/** What happens where a matcher names none of the methods of a server. */
export type OnUnmatched = 'error' | 'warn'

const STREAMS: Readonly<Record<string, readonly [request: boolean, response: boolean]>> = {
  unary: [false, false],
  clientStream: [true, false],
  serverStream: [false, true],
  bidi: [true, true],
}

/** The methods of a server. From the time it binds on, the matchers of its stack have to fit them. */
export class RegisteredMethods {
  readonly #stack: readonly Interceptor[]
  readonly #onUnmatched: OnUnmatched
  readonly #methods = new Map<string, RegisteredMethod>()
  readonly #aliases = new Map<string, readonly string[]>()
  readonly #warned = new Set<string>()
  readonly #watching: (() => void)[] = []
  #bound = false

  constructor(stack: readonly Interceptor[], onUnmatched: OnUnmatched) {
    this.#stack = stack
    this.#onUnmatched = onUnmatched
  }

  /**
   * A service is about to be added.
   * @throws TypeError if the server has bound already and a table leaves a method of it without an entry.
   */
  announce(definition: ServiceDefinition): void {
    const methods = Object.entries(definition).map(([key, { path, requestStream, responseStream, originalName }]) => {
      const aliases = [key, originalName].filter((name) => name !== undefined)
      this.#aliases.set(path, aliases)
      return { ...describeMethod(path, requestStream, responseStream), aliases }
    })
    if (this.#bound) this.#check('server.addService', methods)
  }

  /** @throws TypeError as `announce` */
  add(path: string, type: string): void {
    const [requestStream, responseStream] = STREAMS[type] ?? [true, true]
    const method = { ...describeMethod(path, requestStream, responseStream), aliases: this.#aliases.get(path) ?? [] }
    if (this.#bound) this.#check('server.register', [method])
    this.#methods.set(path, method)
  }

  remove(path: string): void {
    this.#methods.delete(path)
  }

  /**
   * The server is about to bind.
   * @throws TypeError if the matchers do not fit its methods.
   */
  bind(where: string): void {
    const interceptors = this.#check(where, [])
    if (!this.#bound) this.#watching.push(...interceptors.map((each) => watchMatchers(each, this.#checkNext)))
    this.#bound = true
  }

  /** The server serves no longer: what matchers name from now on is not its concern. */
  shutDown(): void {
    for (const end of this.#watching.splice(0)) end()
  }

  /** Matchers of the stack are about to be replaced by these. */
  readonly #checkNext = (where: string, matchers: Matchers): void => {
    const methods = [...this.#methods.values()]
    const unmatched = unmatchedOf(matchers, methods)
    if (this.#onUnmatched === 'warn') for (const problem of unmatched) this.#warn(`${where}: ${problem}`)
    else if (unmatched.length > 0) throw mismatch(where, 'the matchers', unmatched, methods)
  }

  /** @returns the interceptors of the stack, each by itself */
  #check(where: string, added: readonly RegisteredMethod[]): readonly Interceptor[] {
    const methods = [...new Map([...this.#methods.values(), ...added].map((method) => [method.path, method])).values()]
    const { unmatched, uncovered, interceptors } = compareWithMethods(this.#stack, methods)
    // What a new service might match was told of when the server bound.
    const missing = added.length > 0 ? [] : unmatched
    if (this.#onUnmatched === 'error') {
      if (missing.length + uncovered.length > 0) throw mismatch(where, STACK, [...missing, ...uncovered], methods)
      return interceptors
    }
    for (const problem of missing) this.#warn(`${where}: ${problem}`)
    if (uncovered.length > 0) throw mismatch(where, STACK, uncovered, methods)
    return interceptors
  }

  #warn(text: string): void {
    if (this.#warned.has(text)) return
    this.#warned.add(text)
    process.emitWarning(text, { code: 'GRPC_STACK_UNMATCHED' })
  }
}

function sentences(problems: readonly string[]): string {
  return problems.map((problem) => (problem.endsWith('?') ? problem : `${problem}.`)).join(' ')
}

const STACK = 'the interceptors'

function mismatch(
  where: string,
  what: string,
  problems: readonly string[],
  methods: readonly RegisteredMethod[],
): TypeError {
  const services = [...new Set(methods.map(({ service }) => service))]
  const known = services.length === 0 ? 'no service; add services before it binds' : services.join(', ')
  return new TypeError(
    `${where}: ${what} do not fit what the server serves: ${sentences(problems)} It serves ${known}. For a list of ` +
      'interceptors that several servers share, createServer({ unmatched: "warn" }) warns of names without a method',
  )
}
