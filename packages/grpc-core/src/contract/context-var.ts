import { checkRpcAtHand, processWide } from '../runtime/copies.ts'
import { isOptionsObject } from '../runtime/options-object.ts'
import { show } from '../runtime/show.ts'
import { type Context, contextStorage, enableContext, ownContext } from './context.ts'

/** What undoes one `set`: give it to `reset`. */
export interface ContextToken<T> {
  readonly variable: ContextVar<T>
  /** Restores what the variable was before the `set` that made this token. */
  restore(): void
}

class SetOnce<T> implements ContextToken<T> {
  readonly variable: ContextVar<T>
  readonly #context: Context
  readonly #had: boolean
  readonly #previous: T | undefined
  #used = false

  constructor(variable: ContextVar<T>, context: Context) {
    this.variable = variable
    this.#context = context
    this.#had = context.has(variable as ContextVar<unknown>)
    this.#previous = context.get(variable)
  }

  restore(): void {
    const what = `ContextVar "${this.variable.name}"`
    if (this.#used) throw new Error(`${what}: this token was already used`)
    this.#used = true
    const context = this.#context.ofRpc ? this.#context : ownContext(what)
    if (this.#had) context.set(this.variable, this.#previous as T)
    else context.unset(this.variable as ContextVar<unknown>)
  }
}

/** The variables of libraries, by name. */
const shared = processWide('variables', () => new Map<string, ContextVar<never>>())

/**
 * A variable whose value belongs to the RPC at hand, after Python's `contextvars`: set by an interceptor, read by inner
 * interceptors, the handler, its stream events and timers, and nowhere else. Outside an RPC it belongs to the
 * asynchronous flow that set it, and client calls made from there see it.
 *
 *     const tenantVar = new ContextVar<string>('tenant')
 *     tenantVar.set('acme')
 *     tenantVar.get()           // 'acme'; throws where it was not set
 *     tenantVar.get('none')     // does not throw
 *
 * All members are public, so that one of another copy of this package has the same type.
 */
export class ContextVar<T> {
  readonly name: string
  /** What `get()` returns where nothing is set. */
  readonly default: { readonly value: T } | undefined

  /**
   * @param options.lazy for a variable a library exports: having it costs nothing until something calls `enable()`.
   * Without it, RPCs enter contexts from now on.
   */
  constructor(name: string, options: { readonly default?: T; readonly lazy?: boolean } = {}) {
    if (typeof name !== 'string' || name === '') throw new TypeError('ContextVar: name must be a non-empty string')
    if (!isOptionsObject(options)) {
      throw new TypeError(`ContextVar "${name}": options must be an object, got ${show(options)}`)
    }
    const unknown = Object.keys(options).find((option) => option !== 'default' && option !== 'lazy')
    if (unknown !== undefined) {
      throw new TypeError(`ContextVar "${name}": unknown option "${unknown}"; known are default, lazy`)
    }
    this.name = name
    this.default = 'default' in options ? { value: options.default as T } : undefined
    if (!options.lazy) enableContext()
  }

  /**
   * The variable of this name in the process, for a library to export: all copies of the library get the same one. Lazy, and
   * without a default.
   * @param name qualified by the name of the package: `@acme/tenants/tenant`
   */
  static shared<T>(name: string): ContextVar<T> {
    if (typeof name !== 'string' || !/.\/./.test(name)) {
      throw new TypeError(
        `ContextVar.shared: name must start with the name of the package, as "@acme/tenants/tenant" does, got ${show(name)}`,
      )
    }
    let variable = shared.get(name) as ContextVar<T> | undefined // libraries give a name one type
    if (variable === undefined) {
      variable = new ContextVar<T>(name, { lazy: true })
      shared.set(name, variable as ContextVar<never>)
    }
    return variable
  }

  /** RPCs that begin from now on enter a context of their own. A library that sets a lazy variable calls this beforehand. */
  enable(): void {
    enableContext()
  }

  /**
   * The value in the current context, else `fallback`, else the default.
   * @throws Error if there is none of the three.
   */
  get(...fallback: [value?: T]): T {
    const context = contextStorage()?.getStore()
    if (context?.has(this as ContextVar<unknown>)) return context.get(this) as T
    if (!context?.ofRpc) checkRpcAtHand(`ContextVar "${this.name}"`)
    if (fallback.length > 0) return fallback[0] as T
    if (this.default) return this.default.value
    throw new Error(`ContextVar "${this.name}" has no value here; set it, or use get(fallback)`)
  }

  /** Sets the value in the current context and returns a token for `reset`. */
  set(value: T): ContextToken<T> {
    const context = ownContext(`ContextVar "${this.name}"`)
    const token = new SetOnce(this, context)
    context.set(this, value)
    return token
  }

  /** Undoes the `set` that returned this token. */
  reset(token: ContextToken<T>): void {
    if (token.variable !== this) {
      throw new TypeError(`ContextVar "${this.name}": this token is of "${token.variable.name}"`)
    }
    token.restore()
  }
}
