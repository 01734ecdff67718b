import type { AsyncResource } from 'node:async_hooks'
import { status as Code, type Metadata } from '@grpc/grpc-js'
import { captureScope } from './async-scope.ts'
import type { Call, Interceptor, MessageTap, MetadataTap, Next, Recovery, StatusTap } from './call.ts'
import { Context, contextStorage, enableContext } from './context.ts'
import { newMetadata } from './metadata.ts'
import type { MethodInfo } from './method.ts'
import { LocalStatus, RemoteStatus, RpcError, rubbishStatus, type Status, show, UnattemptedStatus } from './status.ts'
import { CallTaps } from './taps.ts'

/** What an interceptor is doing. What it still does in a later stage, it does from a promise. */
const ACTS = 0
/** The function has returned. */
const RETURNED = 1
/** The run has ended, or cancel or a deadline has spoken for it: nothing it still does matters. */
const LEFT = 2

/** One run of one interceptor. Each call makes one for each, so it is small. */
export class Layer {
  readonly index: number
  stage: typeof ACTS | typeof RETURNED | typeof LEFT = ACTS
  calls = 0
  /** What the latest `next()` of this run returned. */
  given: Promise<Status> | undefined
  /** Only where it does not hand on what its `next()` gave. */
  waits: Waiting | undefined

  constructor(index: number) {
    this.index = index
  }
}

/** A layer that answers later than what is inside it. */
class Waiting {
  /** What it was told when an outer layer went on without it. */
  abandoned: Status | undefined
  /** What the layer outside got, when the interceptor answered with a promise of its own, and what settles it. */
  promise: Promise<Status> | undefined
  resolve: ((status: Status) => void) | undefined
  /** What it has to say about the status of what is inside. */
  recovering: Recovering | undefined
  /** Where its work resumes when another call's event calls its `next()`: the context it was entered in. */
  entry: AsyncResource | undefined
}

/** A `recover` under way. */
interface Recovering {
  readonly recovery: Recovery
  /** Where the interceptor would go on after `await next()`. */
  readonly scope: AsyncResource
  readonly promise: Promise<Status>
  readonly resolve: (status: Status) => void
  /** The interceptor has returned the promise as it is: its status is the layer's. */
  returned: boolean
  asked: boolean
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
  protected taps: CallTaps | undefined
  /** Index of the interceptor that acts now. */
  protected depth = -1
  protected controller: CallAbort | undefined
  protected rpcContext: Context | undefined
  /** The context this call has entered, in the sense of AsyncLocalStorage: what runs there is its own work. */
  protected entered: Context | undefined
  /** The layer entered last. Until it calls its `next()`, the one that acts. */
  #entered: Layer | undefined
  /** The outermost layer that owes an answer, where those around it hand on its promise: it reports to `conclude`. */
  #outermost: Layer | undefined
  /** By index, the layers that owe an answer. */
  #waiting: (Layer | undefined)[] | undefined
  /** The status of what is inside, if it was known before the interceptor outside had returned. */
  #known: Status | undefined
  /** What is inside had ended by the time the latest `next()` returned. */
  #endedAtOnce = false

  constructor(method: MethodInfo, stack: readonly Interceptor[]) {
    this.method = method
    this.stack = stack
  }

  /** Starts the RPC proper. Must resolve, never reject. */
  protected abstract attempt(): Promise<Status>
  /** Takes the status the outermost interceptor settled on. Called exactly once; `sync` only within an event of grpc-js. */
  protected abstract finish(status: Status, sync: boolean): void
  /** What an RPC must have besides a status to count as this status. */
  protected abstract complete(status: Status): Status
  /** A layer's second or later `next()`. */
  protected abstract again(layer: Layer): Promise<Status>
  abstract respond(message: unknown): Promise<void>
  abstract peer(): string

  // ── The call of interceptors ──────────────────────────────────────────────────────────────────────────────────

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new CallAbort()
      if (this.block !== undefined) this.controller.abort(abortReason(this.block.status))
    }
    return this.controller.signal
  }

  get context(): Context {
    this.rpcContext ??= new Context()
    return this.rpcContext
  }

  onRequest(tap: MessageTap): void {
    this.taps ??= new CallTaps()
    this.taps.addRequest(this.depth, tap)
  }

  onResponse(tap: MessageTap): void {
    this.taps ??= new CallTaps()
    this.taps.addResponse(this.depth, tap)
  }

  onResponseMetadata(tap: MetadataTap): void {
    this.taps ??= new CallTaps()
    this.taps.addMetadata(this.depth, tap)
  }

  onStatus(tap: StatusTap): void {
    this.taps ??= new CallTaps()
    this.taps.addStatus(this.depth, tap)
  }

  recover(next: Next, recovery: Recovery): Promise<Status> {
    const layer = this.#entered
    const given = next()
    // Not where interceptors are nested by hand, nor where the status is known already.
    const usual =
      layer !== undefined && layer.given === given && layer.waits?.recovering === undefined && layer.stage !== LEFT
    if (!usual || this.#endedAtOnce) return given.then(async (status) => (await recovery(status)) ?? status)
    const promise = new Promise<Status>(captureResolve)
    const scope = captureScope()
    this.#waitFor(layer).recovering = { recovery, scope, promise, resolve: captured, returned: false, asked: false }
    return promise
  }

  // ── Running the stack ─────────────────────────────────────────────────────────────────────────────────────────

  /** Runs the whole stack. The end of it is `finish`. */
  protected run(): void {
    const outcome = this.enter(0)
    if (outcome === NEVER || this.finished) return
    if (this.#known !== undefined) {
      this.conclude(this.#known, false)
      return
    }
    const waiting = this.#waiting?.find((layer) => layer !== undefined)
    if (waiting?.waits?.promise === outcome) this.#outermost = waiting
    else this.follow(outcome)
  }

  /** The outermost layer handed its `next()` on. */
  protected follow(outcome: Promise<Status>): void {
    void outcome.then((status) => this.conclude(status, false))
  }

  /** The RPC ends with this status, unless it has ended. */
  protected conclude(status: Status, sync: boolean): void {
    if (this.finished) return
    this.finished = true
    this.finish(status, sync)
    this.abandonInside(-1)
    // Its promise knows the context it was made in, which need not be kept with the call.
    this.#entered = this.#outermost = undefined
  }

  protected enter(index: number): Promise<Status> {
    const interceptor = this.stack[index]
    if (interceptor === undefined) return this.attempt()
    this.depth = index
    const layer = new Layer(index)
    this.#entered = layer
    const next: Next = () => this.#proceed(layer)
    let answer: unknown
    try {
      answer = interceptor(this, next)
    } catch (error) {
      this.#tellLayer(layer)
      return this.#answered(layer, this.#thrown(layer, error))
    }
    layer.stage = RETURNED
    this.#tellLayer(layer)
    const { given, waits } = layer
    if (waits?.recovering === undefined) {
      if (answer !== undefined && answer === given) return given
    } else if (answer === waits.recovering.promise) {
      const { recovering } = waits
      recovering.returned = true
      waits.promise = recovering.promise
      return index === 0 ? NEVER : recovering.promise
    }
    if (!isThenable(answer)) return this.#answered(layer, this.#judge(layer, answer))
    return this.#await(layer, answer)
  }

  #await(layer: Layer, answer: PromiseLike<unknown>): Promise<Status> {
    this.#known = undefined
    const waits = this.#waitFor(layer)
    if (layer.calls === 0 || this.mayRepeat(layer.index)) {
      waits.entry = captureScope()
      // Where a next() comes late, calls must be able to tell their own events from each other's.
      enableContext()
    }
    // A promise of somebody else's making may throw out of its then().
    const settled = answer instanceof Promise ? answer : Promise.resolve(answer)
    settled.then(
      (value) => this.#leave(layer, this.#judge(layer, value), false),
      (error: unknown) => this.#leave(layer, this.#thrown(layer, error), false),
    )
    // The outermost layer reports to finish() instead of a promise.
    if (layer.index === 0) return NEVER
    waits.promise = new Promise<Status>(captureResolve)
    waits.resolve = captured
    return waits.promise
  }

  #waitFor(layer: Layer): Waiting {
    this.#waiting ??= new Array<Layer | undefined>(this.stack.length).fill(undefined)
    this.#waiting[layer.index] = layer
    layer.waits ??= new Waiting()
    return layer.waits
  }

  #forget(layer: Layer): void {
    if (this.#waiting?.[layer.index] === layer) this.#waiting[layer.index] = undefined
  }

  /** The layer answered without a promise. */
  #answered(layer: Layer, status: Status): Promise<Status> {
    layer.stage = LEFT
    this.#forget(layer)
    const recovering = layer.waits?.recovering
    if (recovering !== undefined) {
      this.#askInVain(recovering, status)
      recovering.resolve(status)
    }
    this.depth = layer.index - 1
    return this.settledAtOnce(status)
  }

  /** What is inside a layer has ended before `next()` returns. */
  protected settledAtOnce(status: Status): Promise<Status> {
    this.#known = status
    return Promise.resolve(status)
  }

  /** What is inside the interceptor that acts has ended before its `next()` returns. */
  protected get settled(): boolean {
    return this.#known !== undefined
  }

  /** Tells a layer's status tap what is known by the time its interceptor returns. */
  #tellLayer(layer: Layer): void {
    if (this.#known === undefined || layer.calls === 0) return
    this.depth = layer.index
    this.taps?.status(this.#known, layer.index, layer.index + 1)
  }

  /** @param sync within an event of grpc-js */
  #leave(layer: Layer, status: Status, sync: boolean): void {
    if (layer.stage === LEFT) return
    layer.stage = LEFT
    const { recovering, abandoned, resolve } = layer.waits ?? NOT_WAITING
    if (abandoned === undefined) {
      this.#forget(layer)
      this.passOut(status, layer.index, sync)
    }
    if (recovering !== undefined) {
      if (!recovering.asked) this.#askInVain(recovering, status)
      recovering.resolve(status)
    }
    resolve?.(status)
    const outermost = layer.index === 0 || layer === this.#outermost
    if (outermost && abandoned === undefined) this.conclude(status, sync)
  }

  /**
   * A status comes out of the layer or attempt at an index: status taps hear it, up to the next layer that awaits it.
   * @param sync within an event of grpc-js
   */
  protected passOut(status: Status, from: number, sync: boolean): void {
    let outer = from - 1
    while (outer >= 0 && this.#waiting?.[outer] === undefined) outer--
    this.depth = outer
    this.taps?.status(status, outer, from)
    this.reached(outer)
    const layer = outer < 0 ? undefined : this.#waiting?.[outer]
    const recovering = layer?.waits?.recovering
    if (layer !== undefined && recovering?.asked === false) this.#askRecovery(layer, recovering, status, sync)
  }

  /** A status has come to a layer that waits, or out of all of them (-1). */
  protected reached(_outer: number): void {}

  #askRecovery(layer: Layer, recovering: Recovering, status: Status, sync: boolean): void {
    recovering.asked = true
    let answer: unknown
    try {
      answer = recovering.scope.runInAsyncScope(recovering.recovery, undefined, status)
    } catch (error) {
      this.#recovered(layer, recovering, this.#thrown(layer, error), sync)
      return
    }
    if (answer === undefined) this.#recovered(layer, recovering, status, sync)
    else if (!isThenable(answer)) this.#recovered(layer, recovering, this.#judge(layer, answer), sync)
    else {
      Promise.resolve(answer).then(
        (value) => this.#recovered(layer, recovering, value === undefined ? status : this.#judge(layer, value), false),
        (error: unknown) => this.#recovered(layer, recovering, this.#thrown(layer, error), false),
      )
    }
  }

  /** It hears of the end like everybody, but nothing depends on it any more. */
  #askInVain(recovering: Recovering, status: Status): void {
    recovering.asked = true
    try {
      const answer: unknown = recovering.scope.runInAsyncScope(recovering.recovery, undefined, status)
      if (isThenable(answer)) Promise.resolve(answer).catch(() => undefined)
    } catch {}
  }

  #recovered(layer: Layer, recovering: Recovering, status: Status, sync: boolean): void {
    if (recovering.returned) this.#leave(layer, status, sync)
    recovering.resolve(status)
  }

  #proceed(layer: Layer): Promise<Status> {
    if (layer.stage !== ACTS && !this.inOwnContext) {
      const entry = layer.waits?.entry ?? layer.waits?.recovering?.scope
      if (entry !== undefined) return entry.runInAsyncScope(this.#goOn, this, layer)
    }
    return this.#goOn(layer)
  }

  /**
   * Whether what runs now is this call's own work, and not an event of another call, of a timer that calls share, or of a
   * connection. What an interceptor enters around a late `next()` holds only in its own work.
   */
  get inOwnContext(): boolean {
    return contextStorage()?.getStore() === this.entered
  }

  #goOn(layer: Layer): Promise<Status> {
    const { block } = this
    if (layer.waits?.abandoned !== undefined) return Promise.resolve(layer.waits.abandoned)
    if (block !== undefined && layer.index > block.outside) layer.given = this.settledAtOnce(block.status)
    else if (layer.stage === LEFT || this.finished)
      return Promise.resolve(this.misuse(layer, 'called next() after it had returned'))
    else {
      this.#known = undefined
      this.taps?.proceeds(layer.index)
      layer.given = layer.calls === 0 ? this.first(layer) : this.again(layer)
    }
    layer.calls++
    this.#endedAtOnce = this.#known !== undefined
    if (layer.stage !== ACTS) {
      this.#tellLayer(layer)
      this.#known = undefined
    }
    return layer.given
  }

  /** Whether the layer at this index may call `next()` again. */
  protected mayRepeat(_index: number): boolean {
    return false
  }

  /** A layer's first `next()`. */
  protected first(layer: Layer): Promise<Status> {
    return this.enter(layer.index + 1)
  }

  protected misuse(layer: Layer, what: string): Status {
    return internalStatus(this.side, `Interceptor ${nameOf(this.stack[layer.index])} ${what}`)
  }

  #judge(layer: Layer, value: unknown): Status {
    const interceptor = this.stack[layer.index]
    if (layer.calls > 0 && (value instanceof RemoteStatus || value instanceof LocalStatus)) return this.complete(value)
    try {
      const problem = rubbishStatus(value)
      if (problem !== undefined) return internalStatus(this.side, `Interceptor ${nameOf(interceptor)} ${problem}`)
      const status = value as Status // rubbishStatus has looked at every member
      const refused = layer.calls === 0 && status.code !== Code.OK
      return this.complete(new LocalStatus(status, refused ? nameOf(interceptor) : undefined))
    } catch (error) {
      return this.#thrown(layer, error) // a getter's
    }
  }

  #thrown(layer: Layer, error: unknown): Status {
    return thrownStatus(error, this.stack[layer.index] as Interceptor, this.side)
  }

  /**
   * A layer goes on without what it let run. Whoever waits in there hears of it, innermost first, and can change nothing
   * any more.
   */
  protected abandonInside(index: number): void {
    const waiting = this.#waiting ?? NOBODY
    let last = waiting.length - 1
    while (last > index && waiting[last] === undefined) last--
    if (last <= index && !this.taps?.awaitStatus) return
    const status = abandoned()
    this.taps?.status(status, index + 1, Number.POSITIVE_INFINITY)
    const left: Layer[] = []
    for (let i = last; i > index; i--) {
      const layer = waiting[i]
      if (layer?.waits === undefined) continue
      waiting[i] = undefined
      layer.waits.abandoned = status
      left.push(layer)
    }
    const speak = (): void => {
      const layer = left.shift()
      if (layer !== undefined) this.#leave(layer, status, false)
      if (left.length > 0) setImmediate(speak)
    }
    if (left.length > 0) setImmediate(speak)
  }

  // ── Cancel and deadline ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * Cancel or a deadline decided. Tells what may still start within, then speaks, innermost first, for every layer
   * that does not answer by itself, one turn of the event loop each: a layer that only has to react to the
   * status gets its chance.
   * @param outside layers up to this index are not concerned; -1 for the whole call
   */
  protected decide(status: Status, outside: number): void {
    if (this.block === undefined || this.block.outside > outside) this.block = { outside, status }
    this.abortSignals(status, outside)
    const { block } = this
    setImmediate(() => this.#speakFor(outside, status, block))
  }

  protected abortSignals(status: Status, _outside: number): void {
    this.controller?.abort(abortReason(status))
  }

  #speakFor(outside: number, status: Status, block: Block): void {
    const waiting = this.#waiting
    // Without its block the run it was about is over, and another may have begun.
    if (waiting === undefined || this.finished || this.block !== block) return
    for (let i = waiting.length - 1; i > outside; i--) {
      const layer = waiting[i]
      if (layer === undefined) continue
      this.#leave(layer, status, false)
      if (i - 1 > outside) setImmediate(() => this.#speakFor(outside, status, block))
      return
    }
  }

  // ── Messages through the taps. Each throws what a tap throws. ─────────────────────────────────────────────────

  protected tapRequest(
    message: unknown,
    deeperThan: number = Number.NEGATIVE_INFINITY,
    upTo: number = Number.POSITIVE_INFINITY,
  ): unknown {
    return this.taps === undefined ? message : this.taps.request(message, deeperThan, upTo)
  }

  protected tapResponse(message: unknown, shallowerThan: number = Number.POSITIVE_INFINITY): unknown {
    return this.taps === undefined ? message : this.taps.response(message, shallowerThan)
  }

  protected tapMetadata(metadata: Metadata): Metadata {
    return this.taps === undefined ? metadata : this.taps.metadata(metadata)
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

/** The status of an RPC that a tap ends by throwing: its own if it threw an `RpcError`, as an interceptor may. */
export function tapStatus(error: unknown, side: 'client' | 'server'): Status {
  if (error instanceof RpcError) return new LocalStatus(error)
  return internalStatus(side, `A message tap threw: ${error instanceof Error ? error.message : show(error)}`, error)
}

/** What went wrong in this process. On a server the text stays with the cause: details go to the peer. */
export function internalStatus(side: 'client' | 'server', what: string, cause?: unknown): Status {
  const details = side === 'server' ? 'Internal error' : what
  return new LocalStatus({ code: Code.INTERNAL, details, cause: cause ?? new Error(what) })
}

/** How a run ends that an outer interceptor went on without. */
export function abandoned(): Status {
  return new UnattemptedStatus(Code.CANCELLED, 'An outer interceptor went on without this', newMetadata())
}

export function nameOf(interceptor: Interceptor | undefined): string {
  return interceptor?.name || '(anonymous)'
}

/** Aborts where its signal was asked for: listeners belong to this call, whatever event the end comes in. */
export class CallAbort extends AbortController {
  readonly #scope = captureScope()

  override abort(reason?: unknown): void {
    this.#scope.runInAsyncScope(super.abort, this, reason)
  }
}

export function abortReason(status: Status): RpcError {
  return RpcError.fromStatus(status)
}

const NOBODY: (Layer | undefined)[] = []
const NOT_WAITING = new Waiting()

// Nobody awaits it: the outermost layer has no layer outside.
const NEVER: Promise<Status> = new Promise(() => undefined)

// The executor of a promise runs at once: one function for all of them saves a closure per layer.
let captured: (status: Status) => void = () => undefined
const captureResolve = (resolve: (status: Status) => void): void => {
  captured = resolve
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
  } catch {
    return false // a getter's, and no status either
  }
}
