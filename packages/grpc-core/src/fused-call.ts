import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, Interceptor, MessageTap, MetadataTap, Next } from './call.ts'
import { Context } from './context.ts'
import type { MethodInfo } from './method.ts'
import { LocalStatus, RemoteStatus, RpcError, rubbishStatus, type Status, show } from './status.ts'

/** A tap and the index of the interceptor that registered it: a new attempt drops those of inner interceptors. */
export interface Tap<T> {
  readonly depth: number
  readonly tap: T
}

/** One run of one interceptor. */
export class Layer {
  readonly index: number
  /** What the latest `next()` of this run returned. */
  given: Promise<Status> | undefined
  calls = 0
  /** The run has ended, or cancel or a deadline has spoken for it: nothing it still does matters. */
  left = false
  /** Set when the interceptor answered with a promise of its own; tells the layer outside. */
  resolve: ((status: Status) => void) | undefined

  constructor(index: number) {
    this.index = index
  }
}

/** Layers inside `outside` may start nothing more; their `next()` resolves to `status`. */
interface Block {
  readonly outside: number
  readonly status: Status
}

/**
 * What the two sides share: runs a stack of interceptors over one RPC, once, around whatever `attempt()` is.
 *
 * A layer that hands on the promise of its `next()` costs one closure. Only one that answers with a promise of its own
 * gets a promise here too, so that cancel and deadline can answer for it while it hangs.
 */
export abstract class FusedCall implements Call {
  abstract readonly side: 'client' | 'server'
  abstract metadata: Metadata
  abstract deadline: number
  readonly method: MethodInfo
  protected readonly stack: readonly Interceptor[]
  protected finished = false
  protected block: Block | undefined
  protected requestTaps: Tap<MessageTap>[] | undefined
  protected responseTaps: Tap<MessageTap>[] | undefined
  protected metadataTaps: Tap<MetadataTap>[] | undefined
  /** Index of the interceptor that acts now. */
  protected depth = -1
  /** Innermost layer that will act again when what it awaits resolves. */
  protected waiting = -1
  protected controller: AbortController | undefined
  protected rpcContext: Context | undefined
  #layers: (Layer | undefined)[] | undefined

  constructor(method: MethodInfo, stack: readonly Interceptor[]) {
    this.method = method
    this.stack = stack
  }

  /** Starts the RPC proper. Must resolve, never reject. */
  protected abstract attempt(): Promise<Status>
  /** Takes the status the outermost interceptor settled on. Called exactly once, `sync` only from `settleAttempt`. */
  protected abstract finish(status: Status, sync: boolean): void
  /** What an RPC must have besides a status to count as this status. */
  protected abstract complete(status: Status): Status
  abstract respond(message: unknown): Promise<void>
  abstract peer(): string

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.block !== undefined) this.controller.abort(abortReason(this.block.status))
    }
    return this.controller.signal
  }

  get context(): Context {
    this.rpcContext ??= new Context()
    return this.rpcContext
  }

  onRequest(tap: MessageTap): void {
    this.requestTaps = register(this.requestTaps, this.depth, tap, 'onRequest')
  }

  onResponse(tap: MessageTap): void {
    this.responseTaps = register(this.responseTaps, this.depth, tap, 'onResponse')
  }

  onResponseMetadata(tap: MetadataTap): void {
    this.metadataTaps = register(this.metadataTaps, this.depth, tap, 'onResponseMetadata')
  }

  /** Runs the whole stack. The end of it is `finish`. */
  protected run(): void {
    const outcome = this.enter(0)
    if (outcome !== NEVER && !this.finished) this.follow(outcome)
  }

  /** The outermost layer handed its `next()` on. */
  protected follow(outcome: Promise<Status>): void {
    void outcome.then((status) => {
      if (this.finished) return
      this.finished = true
      this.finish(status, false)
    })
  }

  protected enter(index: number): Promise<Status> {
    const interceptor = this.stack[index]
    if (interceptor === undefined) return this.attempt()
    this.depth = index
    const layer = new Layer(index)
    const next: Next = () => this.#proceed(layer)
    let answer: unknown
    try {
      answer = interceptor(this, next)
    } catch (error) {
      return this.#answered(layer, thrownStatus(error, interceptor, this.side))
    }
    if (answer !== undefined && answer === layer.given) return layer.given
    if (!isThenable(answer)) return this.#answered(layer, this.#judge(layer, answer, interceptor))
    return this.#await(layer, answer, interceptor)
  }

  #await(layer: Layer, answer: PromiseLike<unknown>, interceptor: Interceptor): Promise<Status> {
    if (layer.index > this.waiting) this.waiting = layer.index
    this.#layers ??= new Array<Layer | undefined>(this.stack.length).fill(undefined)
    this.#layers[layer.index] = layer
    answer.then(
      (value) => this.#leave(layer, this.#judge(layer, value, interceptor)),
      (error: unknown) => this.#leave(layer, thrownStatus(error, interceptor, this.side)),
    )
    // The outermost layer reports to finish() instead of a promise.
    if (layer.index === 0) return NEVER
    const promise = new Promise<Status>(captureResolve)
    layer.resolve = captured
    return promise
  }

  /** The layer answered without a promise. */
  #answered(layer: Layer, status: Status): Promise<Status> {
    layer.left = true
    this.depth = layer.index - 1
    if (layer.index === 0 && !this.finished) {
      this.finished = true
      this.finish(status, false)
    }
    return Promise.resolve(status)
  }

  #leave(layer: Layer, status: Status): void {
    if (layer.left) return
    layer.left = true
    const layers = this.#layers
    if (layers?.[layer.index] === layer) layers[layer.index] = undefined
    this.depth = this.waiting = layer.index - 1
    if (layer.index > 0) layer.resolve?.(status)
    else if (!this.finished) {
      this.finished = true
      this.finish(status, false)
    }
  }

  #proceed(layer: Layer): Promise<Status> {
    const block = this.block
    if (block !== undefined && layer.index > block.outside) return Promise.resolve(block.status)
    if (layer.left || this.finished) return Promise.resolve(this.misuse(layer, 'called next() after it had returned'))
    layer.given = layer.calls++ === 0 ? this.first(layer) : this.again(layer)
    return layer.given
  }

  /** A layer's first `next()`. */
  protected first(layer: Layer): Promise<Status> {
    return this.enter(layer.index + 1)
  }

  /** A layer's second or later `next()`. */
  protected abstract again(layer: Layer): Promise<Status>

  protected nameOf(layer: Layer): string {
    return nameOf(this.stack[layer.index])
  }

  protected misuse(layer: Layer, what: string): Status {
    return internalStatus(this.side, `Interceptor ${this.nameOf(layer)} ${what}`)
  }

  #judge(layer: Layer, value: unknown, interceptor: Interceptor): Status {
    if (layer.calls > 0 && (value instanceof RemoteStatus || value instanceof LocalStatus)) return this.complete(value)
    const problem = rubbishStatus(value)
    if (problem !== undefined) {
      return internalStatus(this.side, `Interceptor ${nameOf(interceptor)} ${problem}`)
    }
    const status = value as Status
    const refused = layer.calls === 0 && status.code !== Code.OK
    return this.complete(new LocalStatus(status, refused ? nameOf(interceptor) : undefined))
  }

  /**
   * Cancel or a deadline decided. Tells what may still start within, then speaks, innermost first, for every layer
   * that does not answer by itself, one turn of the event loop each: a layer that only has to react to the
   * status gets its chance.
   * @param outside layers up to this index are not concerned; -1 for the whole call
   */
  protected decide(status: Status, outside: number): void {
    if (this.block === undefined || this.block.outside > outside) this.block = { outside, status }
    this.abortSignals(status, outside)
    setImmediate(() => this.#speakFor(outside, status))
  }

  protected abortSignals(status: Status, _outside: number): void {
    this.controller?.abort(abortReason(status))
  }

  #speakFor(outside: number, status: Status): void {
    const layers = this.#layers
    if (layers === undefined || this.finished) return
    for (let i = layers.length - 1; i > outside; i--) {
      const layer = layers[i]
      if (layer === undefined) continue
      this.#leave(layer, status)
      if (i - 1 > outside) setImmediate(() => this.#speakFor(outside, status))
      return
    }
  }

  /** Taps of inner interceptors go with the attempt they were made for. */
  protected dropTapsInside(layer: Layer): void {
    const outer = (tap: { readonly depth: number }): boolean => tap.depth <= layer.index
    this.requestTaps = this.requestTaps?.filter(outer)
    this.responseTaps = this.responseTaps?.filter(outer)
    this.metadataTaps = this.metadataTaps?.filter(outer)
  }

  /** Request messages pass the taps outermost first. Throws what a tap throws. */
  protected tapRequest(
    message: unknown,
    deeperThan: number = Number.NEGATIVE_INFINITY,
    upTo: number = Number.POSITIVE_INFINITY,
  ): unknown {
    let seen = message
    for (const { depth, tap } of this.requestTaps ?? []) {
      if (depth > deeperThan && depth <= upTo) seen = tap(seen) ?? seen
    }
    return seen
  }

  /** Response messages pass the taps innermost first. */
  protected tapResponse(message: unknown, shallowerThan: number = Number.POSITIVE_INFINITY): unknown {
    const taps = this.responseTaps
    let seen = message
    for (let i = (taps?.length ?? 0) - 1; i >= 0; i--) {
      const entry = taps?.[i]
      if (entry && entry.depth < shallowerThan) seen = entry.tap(seen) ?? seen
    }
    return seen
  }

  protected tapMetadata(metadata: Metadata): Metadata {
    const taps = this.metadataTaps
    let seen = metadata
    for (let i = (taps?.length ?? 0) - 1; i >= 0; i--) seen = taps?.[i]?.tap(seen) ?? seen
    return seen
  }
}

/** The status of an RPC that this thrown value ends. */
export function thrownStatus(error: unknown, interceptor: Interceptor, side: 'client' | 'server'): Status {
  const name = nameOf(interceptor)
  if (error instanceof RpcError) return new LocalStatus(error, name)
  return internalStatus(
    side,
    `Interceptor ${name} threw: ${error instanceof Error ? error.message : show(error)}`,
    error,
  )
}

/** What went wrong in this process. On a server the text stays with the cause: details go to the peer. */
export function internalStatus(side: 'client' | 'server', what: string, cause?: unknown): Status {
  const details = side === 'server' ? 'Internal error' : what
  return new LocalStatus({ code: Code.INTERNAL, details, cause: cause ?? new Error(what) })
}

export function nameOf(interceptor: Interceptor | undefined): string {
  return interceptor?.name || '(anonymous)'
}

export function abortReason(status: Status): RpcError {
  return RpcError.fromStatus(status)
}

// Nobody awaits it: the outermost layer has no layer outside.
const NEVER: Promise<Status> = new Promise(() => undefined)

// The executor of a promise runs at once: one function for all of them saves a closure per layer.
let captured: ((status: Status) => void) | undefined
const captureResolve = (resolve: (status: Status) => void): void => {
  captured = resolve
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}

function register<T>(taps: Tap<T>[] | undefined, depth: number, tap: T, name: string): Tap<T>[] {
  if (typeof tap !== 'function') throw new TypeError(`${name}: a tap must be a function, got ${show(tap)}`)
  const entry = { depth, tap }
  if (taps === undefined) return [entry]
  taps.push(entry)
  return taps
}
