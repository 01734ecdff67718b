import { AsyncLocalStorage } from 'node:async_hooks'
import { asyncStorageInUse } from '../runtime/async-scope.ts'
import type { ServerCall } from './call.ts'

/**
 * State of one RPC, keyed by `ContextVar`. A server RPC starts empty; a client RPC sees its caller's values through
 * `parent` and keeps its own to itself.
 */
export class Context {
  #parent: Context | undefined
  #serverCall: ServerCall | undefined
  #values: Map<ContextVar<unknown>, unknown> | undefined
  #ofRpc = true

  constructor(parent?: Context, serverCall?: ServerCall) {
    this.#parent = parent
    this.#serverCall = serverCall ?? parent?.serverCall
  }

  static outsideRpc(): Context {
    const context = new Context()
    context.#ofRpc = false
    return context
  }

  /** The values of this context without its server call, readable until `recall()`. */
  lend(): Context {
    const lent = new Context(this)
    lent.#serverCall = undefined
    return lent
  }

  /** Ends a loan: from now on this context has no values. */
  recall(): void {
    this.#parent = undefined
    this.#values = undefined
  }

  /** Whether it is the context of an RPC; if not, that of an asynchronous flow. */
  get ofRpc(): boolean {
    return this.#ofRpc
  }

  copy(): Context {
    const copy = new Context(this.#parent, this.#serverCall)
    copy.#ofRpc = this.#ofRpc
    if (this.#values !== undefined) copy.#values = new Map(this.#values)
    return copy
  }

  /** The server RPC being handled here, if any. */
  get serverCall(): ServerCall | undefined {
    return this.#serverCall
  }

  /** From now on the RPC is handled in this call, which is the same RPC further in. */
  within(call: ServerCall): this {
    this.#serverCall = call
    return this
  }

  get<T>(variable: ContextVar<T>): T | undefined {
    const key = variable as ContextVar<unknown>
    if (this.#values?.has(key)) {
      // The map holds under each variable what set() put there, which has that variable's type.
      const value = this.#values.get(key)
      return value === UNSET ? undefined : (value as T)
    }
    return this.#parent?.get(variable)
  }

  has(variable: ContextVar<unknown>): boolean {
    const own = this.#values?.has(variable)
    return own ? this.#values?.get(variable) !== UNSET : (this.#parent?.has(variable) ?? false)
  }

  set<T>(variable: ContextVar<T>, value: T): void {
    this.#values ??= new Map()
    this.#values.set(variable as ContextVar<unknown>, value)
  }

  /** Makes the variable unset here, even if the parent has a value. */
  unset(variable: ContextVar<unknown>): void {
    this.#values ??= new Map()
    this.#values.set(variable, UNSET)
  }
}

const UNSET: unique symbol = Symbol('unset')

// Undefined until a call needs it: the first AsyncLocalStorage run slows every await of the process on Node 20 and 22.
let storage: AsyncLocalStorage<Context> | undefined

/** From now on each RPC enters a context of its own. */
export function enableContext(): AsyncLocalStorage<Context> {
  storage ??= new AsyncLocalStorage()
  return storage
}

/** The storage, if anything in this process needs it. */
export function contextStorage(): AsyncLocalStorage<Context> | undefined {
  return storage
}

/**
 * The storage for a call that begins. An RPC has a context of its own where there is a ContextVar, and wherever the application
 * uses an AsyncLocalStorage: by its context a call knows whether it is resumed from its own work or from another call's.
 */
export function storageForCall(): AsyncLocalStorage<Context> | undefined {
  if (storage === undefined) {
    // To look takes 1 KB of garbage on Node 20. An application that uses one does so from its first calls on.
    const look = calls < FIRST_CALLS || calls % 32 === 0
    calls++
    if (look && asyncStorageInUse()) enableContext()
  }
  return storage
}

const FIRST_CALLS = 1024
let calls = 0

/**
 * Runs work that belongs to no RPC, because several share it: it sees no server call, so `propagate()` gives it no caller's
 * deadline and cancellation, and no `ContextVar`. Other AsyncLocalStorages stay as they are.
 */
export function outsideRpc<R>(work: () => R): R {
  return storage === undefined ? work() : storage.run(Context.outsideRpc(), work)
}

/**
 * Runs work that turns out only by its result to be one RPC's alone or shared. It sees the `ContextVar`s of the RPC at hand
 * and no server call. If `isShared(result)`, what of it is still running sees no `ContextVar` from then on.
 */
export function withoutServerCall<R>(work: () => R, isShared: (result: R) => boolean): R {
  const current = storage?.getStore()
  if (storage === undefined || current === undefined) return work()
  const lent = current.lend()
  const result = storage.run(lent, work)
  if (isShared(result)) lent.recall()
  return result
}

/**
 * The context to set something in. Within an RPC: the RPC's. Outside: a fresh copy, as flows that branch off a flow which
 * has set something share its context, and one's setting is not the others' business.
 */
function ownContext(): Context {
  const all = enableContext()
  const context = all.getStore()
  if (context?.ofRpc) return context
  const own = context?.copy() ?? Context.outsideRpc()
  all.enterWith(own)
  return own
}

/** What undoes one `set`: give it to `reset`. */
export class ContextToken<T> {
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

  /** Restores what the variable was before the `set` that made this token. */
  restore(): void {
    if (this.#used) throw new Error(`ContextVar "${this.variable.name}": this token was already used`)
    this.#used = true
    const context = this.#context.ofRpc ? this.#context : ownContext()
    if (this.#had) context.set(this.variable, this.#previous as T)
    else context.unset(this.variable as ContextVar<unknown>)
  }
}

/**
 * A variable whose value belongs to the RPC at hand, after Python's `contextvars`: set by an interceptor, read by inner
 * interceptors, the handler, its stream events and timers, and by nobody else. Outside an RPC it belongs to the
 * asynchronous flow that set it, and client calls made from there see it.
 *
 *     const tenantVar = new ContextVar<string>('tenant')
 *     tenantVar.set('acme')
 *     tenantVar.get()           // 'acme'; throws where it was not set
 *     tenantVar.get('nobody')   // does not throw
 */
export class ContextVar<T> {
  readonly name: string
  readonly #default: { readonly value: T } | undefined

  /**
   * @param options.lazy for a variable a library exports: having it costs nothing until something calls `enable()`.
   * Without it, RPCs enter contexts from now on.
   */
  constructor(name: string, options: { readonly default?: T; readonly lazy?: boolean } = {}) {
    if (typeof name !== 'string' || name === '') throw new TypeError('ContextVar: name must be a non-empty string')
    this.name = name
    this.#default = 'default' in options ? { value: options.default as T } : undefined
    if (!options.lazy) enableContext()
  }

  /** RPCs that begin from now on enter a context of their own. Whoever sets a lazy variable calls this beforehand. */
  enable(): void {
    enableContext()
  }

  /**
   * The value in the current context, else `fallback`, else the default.
   * @throws Error if there is none of the three.
   */
  get(...fallback: [value?: T]): T {
    const context = storage?.getStore()
    if (context?.has(this as ContextVar<unknown>)) return context.get(this) as T
    if (fallback.length > 0) return fallback[0] as T
    if (this.#default) return this.#default.value
    throw new Error(`ContextVar "${this.name}" has no value here; set it, or use get(fallback)`)
  }

  /** Sets the value in the current context and returns a token for `reset`. */
  set(value: T): ContextToken<T> {
    const context = ownContext()
    const token = new ContextToken(this, context)
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
