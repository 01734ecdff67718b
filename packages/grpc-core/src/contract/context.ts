import { AsyncLocalStorage } from 'node:async_hooks'
import { asyncStorageInUse } from '../runtime/async-scope.ts'
import { checkRpcAtHand, processWide, type SharedContext } from '../runtime/copies.ts'
import { VERSION } from '../runtime/version.ts'
import type { ServerCall } from './call.ts'
import type { ContextVar } from './context-var.ts'

/**
 * State of one RPC, keyed by `ContextVar`. A server RPC starts empty; a client RPC sees its caller's values and keeps its
 * own to itself. Another copy of this package may have made it.
 */
export interface Context {
  /** Whether it is the context of an RPC; if not, that of an asynchronous flow. */
  readonly ofRpc: boolean
  /** The server RPC being handled here, if any. */
  readonly serverCall: ServerCall | undefined
  get<T>(variable: ContextVar<T>): T | undefined
  has(variable: ContextVar<unknown>): boolean
  set<T>(variable: ContextVar<T>, value: T): void
  /** Makes the variable unset here, even if the caller has a value. */
  unset(variable: ContextVar<unknown>): void
  copy(): Context
  /** The values of this context without its server call, readable until `recall()`. */
  lend(): Context
  /** Ends a loan: from now on this context has no values. */
  recall(): void
}

export class RpcContext implements Context {
  #parent: Context | undefined
  #serverCall: ServerCall | undefined
  #values: Map<ContextVar<unknown>, unknown> | undefined
  #ofRpc = true

  constructor(parent?: Context, serverCall?: ServerCall) {
    this.#parent = parent
    this.#serverCall = serverCall ?? parent?.serverCall
  }

  static outsideRpc(): RpcContext {
    const context = new RpcContext()
    context.#ofRpc = false
    return context
  }

  lend(): RpcContext {
    const lent = new RpcContext(this)
    lent.#serverCall = undefined
    return lent
  }

  recall(): void {
    this.#parent = undefined
    this.#values = undefined
  }

  get ofRpc(): boolean {
    return this.#ofRpc
  }

  copy(): RpcContext {
    const copy = new RpcContext(this.#parent, this.#serverCall)
    copy.#ofRpc = this.#ofRpc
    if (this.#values !== undefined) copy.#values = new Map(this.#values)
    return copy
  }

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

  unset(variable: ContextVar<unknown>): void {
    this.#values ??= new Map()
    this.#values.set(variable, UNSET)
  }
}

const UNSET: unique symbol = Symbol('unset')

/** The context of all copies of this package in the process. */
interface ProcessContext extends SharedContext<Context> {
  /** Undefined until a call needs it: the first AsyncLocalStorage run slows every await of the process on Node 20 and 22. */
  storage: AsyncLocalStorage<Context> | undefined
}

const shared: ProcessContext = processWide('context', () => ({ storage: undefined, version: VERSION }))

/** From now on each RPC enters a context of its own. */
export function enableContext(): AsyncLocalStorage<Context> {
  shared.storage ??= new AsyncLocalStorage()
  return shared.storage
}

/** The storage, if anything in this process needs it. */
export function contextStorage(): AsyncLocalStorage<Context> | undefined {
  return shared.storage
}

/**
 * The storage for a call that begins. An RPC has a context of its own where there is a ContextVar, and wherever the application
 * uses an AsyncLocalStorage: by its context a call knows whether it is resumed from its own work or from another call's.
 */
export function storageForCall(): AsyncLocalStorage<Context> | undefined {
  if (shared.storage === undefined) {
    // To look takes 1 KB of garbage on Node 20. An application that uses one does so from its first calls on.
    const look = calls < FIRST_CALLS || calls % 32 === 0
    calls++
    if (look && asyncStorageInUse()) enableContext()
  }
  return shared.storage
}

const FIRST_CALLS = 1024
let calls = 0

/**
 * Runs work that belongs to no RPC, because several share it: it sees no server call, so `propagate()` gives it no caller's
 * deadline and cancellation, and no `ContextVar`. Other AsyncLocalStorages stay as they are.
 */
export function outsideRpc<R>(work: () => R): R {
  return shared.storage === undefined ? work() : shared.storage.run(RpcContext.outsideRpc(), work)
}

/**
 * Runs work that turns out only by its result to be one RPC's alone or shared. It sees the `ContextVar`s of the RPC at hand
 * and no server call. If `isShared(result)`, what of it is still running sees no `ContextVar` from then on.
 */
export function withoutServerCall<R>(work: () => R, isShared: (result: R) => boolean): R {
  const current = shared.storage?.getStore()
  if (shared.storage === undefined || current === undefined) return work()
  const lent = current.lend()
  const result = shared.storage.run(lent, work)
  if (isShared(result)) lent.recall()
  return result
}

/**
 * The context to set something in. Within an RPC: the RPC's. Outside: a fresh copy, because flows that branch off a flow which
 * has set something share its context, and must not see what one of them sets.
 */
export function ownContext(what: string): Context {
  const all = enableContext()
  const context = all.getStore()
  if (context?.ofRpc) return context
  checkRpcAtHand(what)
  const own = context?.copy() ?? RpcContext.outsideRpc()
  all.enterWith(own)
  return own
}
