import type { Call, Interceptor, Next, Recovery } from '../contract/call.ts'
import { type Context, contextStorage, enableContext } from '../contract/context.ts'
import type { Status } from '../contract/status.ts'
import { captureScope } from '../runtime/async-scope.ts'
import { openPromise, resolverOfLatest } from '../runtime/open-promise.ts'
import { abandoned, internalStatus, nameOf, returnedStatus, thrownStatus } from './answer.ts'
import { Layer, type Recovering, Waiting } from './layer.ts'
import { CallTaps } from './taps.ts'

/** What a run is around: the RPC proper, of either side. */
export interface Terminal extends Call {
  /**
   * Starts the RPC proper. The promise resolves, and never rejects. An end is told by `run.ended`, or, before this returns,
   * by returning `run.endedAtOnce(status)`.
   */
  begin(): Promise<Status>
  /**
   * Something inside the layer at this index is about to start, for the first time or again. Returns the status to end with
   * instead, if it may not.
   */
  opens(index: number, again: boolean): Status | undefined
  /** A status has come out to the layer at this index, which waits for it, or out of all of them (-1). */
  reached(index: number): void
  /** Whether the layer at this index may call `next()` again. */
  mayRepeat(index: number): boolean
  /** The status as it counts: an RPC may need more than a status to be OK. */
  complete(status: Status): Status
  /** The status with the number of attempts that the layer at this index, or outside of all of them (-1), is to see. */
  counted(status: Status, index: number): Status
  /** The run has ended. Called once. `inEvent`: within the event that ended the RPC proper, with no promise in between. */
  finish(status: Status, inEvent: boolean): void
  /** What is inside this index is cancelled: aborts the signals of the interceptors and handlers in there. */
  abortInside(index: number, status: Status): void
}

/** Layers inside `outside` may start nothing more; their `next()` resolves to `status`. */
interface Block {
  readonly outside: number
  readonly status: Status
}

/**
 * Runs a stack of interceptors around a `Terminal`, once. Knows layers and statuses, and nothing of how an RPC is made.
 *
 * A status travels from the inside outward: layers that pass it on hear it by their status taps, and the first that waits for
 * it decides what travels on. When no layer is left, the RPC has ended.
 *
 * | event ↓ in state →   | running          | passing        | pending          | recovering         | abandoned        | settled |
 * |----------------------|------------------|----------------|------------------|--------------------|------------------|---------|
 * | calls `next()`       | starts inside    | starts inside  | starts inside    | starts inside      | `abandoned`      | misuse  |
 * | returns its `next()` | → passing        |                |                  |                    |                  |         |
 * | returns `recover`'s  | → recovering     |                |                  |                    |                  |         |
 * | returns a promise    | → pending        |                |                  |                    |                  |         |
 * | returns a status     | → settled        |                |                  |                    |                  |         |
 * | what is inside ends  | waits for return | travels on     | its await ends   | recovery is asked  |                  |         |
 * | its answer comes     |                  |                | → settled        | → settled          | → settled, alone |         |
 * | cancel, deadline     |                  |                | → settled        | → settled          |                  |         |
 * | outer layer goes on  |                  |                | → abandoned      | → abandoned        |                  |         |
 *
 * "Starts inside" is a first `next()`; whether there may be another is the terminal's to say (`opens`). While a cancel or a
 * deadline has blocked what is inside, `next()` resolves to its status. "Settled, alone": the layer's own promise, and nothing else.
 */
export class StackRun {
  readonly #terminal: Terminal
  readonly #stack: readonly Interceptor[]
  /** The RPC has its status. */
  finished = false
  block: Block | undefined
  taps: CallTaps | undefined
  /** Index of the interceptor that acts now; one more than the last while the RPC proper does. */
  acting = -1
  /** The context this call has entered, in the sense of AsyncLocalStorage: what runs there is its own work. */
  context: Context | undefined
  /** The layer entered last. Until it calls its `next()`, the one that acts. */
  #entered: Layer | undefined
  /** By index, the layers that are pending or recovering. */
  #waiting: (Layer | undefined)[] | undefined
  /** What the innermost thing just entered ended with, if it did so before its `next()` has returned. */
  #atOnce: Status | undefined
  /** Interceptors are on the JavaScript stack, the outermost one included: the end waits until it has returned. */
  #entering = false
  /** What the latest `next()` let run had ended by the time it returned. */
  #endedAtOnce = false
  /** What runs now is the event that ended the RPC proper, with no promise in between. */
  #inEvent = false

  constructor(terminal: Terminal, stack: readonly Interceptor[]) {
    this.#terminal = terminal
    this.#stack = stack
  }

  /** Whether any layer has an answer of its own to give. */
  get waits(): boolean {
    return this.#waiting?.some((layer) => layer !== undefined) ?? false
  }

  // ── What the terminal calls ───────────────────────────────────────────────────────────────────────────────────

  /** Runs the whole stack. The end of it is `terminal.finish`. */
  start(): void {
    this.#entering = true
    void this.#enter(0)
    this.#entering = false
    if (this.#atOnce !== undefined) this.#conclude(this.#atOnce)
  }

  /** The RPC proper has ended, within an event of its own. Returns the status as what waits for it is to see it. */
  ended(status: Status, inEvent: boolean): Status {
    this.#inEvent = inEvent
    const seen = this.#travel(status, this.#stack.length)
    this.#inEvent = false
    return seen
  }

  /** The RPC proper has ended before `terminal.begin` returns. */
  endedAtOnce(status: Status): Promise<Status> {
    this.#atOnce = status
    return Promise.resolve(status)
  }

  /**
   * A cancel or a deadline has decided. Tells what may still start within, then speaks, innermost first, for every layer
   * that does not answer by itself, one turn of the event loop each: a layer that only has to react to the status gets its chance.
   * @param outside layers up to this index are not concerned; -1 for the whole call
   */
  decide(status: Status, outside: number): void {
    if (this.block === undefined || this.block.outside > outside) this.block = { outside, status }
    this.#terminal.abortInside(outside, status)
    const { block } = this
    setImmediate(() => this.#speakFor(outside, status, block))
  }

  /** The layer at this index goes on without what it let run. The layers inside that wait are told, innermost first. */
  abandonInside(index: number): void {
    const waiting = this.#waiting ?? NONE
    let last = waiting.length - 1
    while (last > index && waiting[last] === undefined) last--
    if (last <= index && !this.taps?.awaitStatus) return
    const status = abandoned()
    this.taps?.status(status, index + 1, Number.POSITIVE_INFINITY, this.#terminal)
    const left: Layer[] = []
    for (let i = last; i > index; i--) {
      const layer = waiting[i]
      if (layer?.waits === undefined) continue
      waiting[i] = undefined
      layer.state = 'abandoned'
      layer.waits.abandoned = status
      left.push(layer)
    }
    const speak = (): void => {
      const layer = left.shift()
      if (layer !== undefined) this.#settle(layer, status)
      if (left.length > 0) setImmediate(speak)
    }
    if (left.length > 0) setImmediate(speak)
  }

  misuse(index: number, what: string): Status {
    return internalStatus(this.#terminal.side, `Interceptor ${nameOf(this.#stack[index])} ${what}`)
  }

  /**
   * Whether what runs now is this call's own work, and not an event of another call, of a timer that calls share, or of a
   * connection. What an interceptor enters around a late `next()` holds only in its own work.
   */
  get inOwnContext(): boolean {
    return contextStorage()?.getStore() === this.context
  }

  // ── What interceptors call ────────────────────────────────────────────────────────────────────────────────────

  get observed(): CallTaps {
    this.taps ??= new CallTaps(this.#stack.length)
    return this.taps
  }

  recover(next: Next, recovery: Recovery): Promise<Status> {
    const layer = this.#entered
    const given = next()
    // Not where interceptors are nested by hand, nor where the status is known already.
    const usual = layer?.given === given && layer.waits?.recovering === undefined && layer.state !== 'settled'
    if (layer === undefined || !usual || this.#endedAtOnce) {
      return given.then(async (status) => (await recovery(status)) ?? status)
    }
    const promise = openPromise<Status>()
    const resolve = resolverOfLatest<Status>()
    this.#waitFor(layer).recovering = { recovery, scope: captureScope(), promise, resolve, asked: false }
    return promise
  }

  #proceed(layer: Layer): Promise<Status> {
    if (layer.state !== 'running' && !this.inOwnContext) {
      const entry = layer.waits?.entry ?? layer.waits?.recovering?.scope
      if (entry !== undefined) return entry.runInAsyncScope(this.#next, this, layer)
    }
    return this.#next(layer)
  }

  #next(layer: Layer): Promise<Status> {
    const { block } = this
    if (layer.waits?.abandoned !== undefined) return Promise.resolve(layer.waits.abandoned)
    if (block !== undefined && layer.index > block.outside) layer.given = this.endedAtOnce(block.status)
    else if (layer.state === 'settled' || this.finished) {
      return Promise.resolve(this.misuse(layer.index, 'called next() after it had returned'))
    } else {
      this.#atOnce = undefined
      this.taps?.proceeds(layer.index)
      const refused = this.#terminal.opens(layer.index, layer.calls > 0)
      layer.given = refused === undefined ? this.#enter(layer.index + 1) : this.endedAtOnce(refused)
    }
    layer.calls++
    this.#endedAtOnce = this.#atOnce !== undefined
    if (this.#atOnce !== undefined) {
      this.#terminal.reached(layer.index)
      const counted = this.#terminal.counted(this.#atOnce, layer.index)
      if (counted !== this.#atOnce) layer.given = this.endedAtOnce(counted)
    }
    if (layer.state !== 'running') {
      this.#tellOwnTap(layer)
      this.#atOnce = undefined
    }
    return layer.given
  }

  // ── Entering ──────────────────────────────────────────────────────────────────────────────────────────────────

  #enter(index: number): Promise<Status> {
    const interceptor = this.#stack[index]
    this.acting = index
    if (interceptor === undefined) return this.#terminal.begin()
    const layer = new Layer(index)
    this.#entered = layer
    let answer: unknown
    try {
      // A bound function takes half the memory of a closure, and each call makes one for each layer.
      answer = interceptor(this.#terminal, this.#nextOf.bind(this, layer))
    } catch (error) {
      this.#tellOwnTap(layer)
      return this.#answersAtOnce(layer, thrownStatus(error, interceptor, this.#terminal.side))
    }
    this.#tellOwnTap(layer)
    const recovering = layer.waits?.recovering
    if (recovering === undefined && answer !== undefined && answer === layer.given) {
      layer.state = 'passing'
      return layer.given
    }
    if (recovering !== undefined && answer === recovering.promise) {
      layer.state = 'recovering'
      return recovering.promise
    }
    if (isThenable(answer)) return this.#awaits(layer, answer)
    return this.#answersAtOnce(layer, this.#judge(layer, answer))
  }

  /** What the layer has as its `next`. */
  #nextOf(layer: Layer, given?: unknown): Promise<Status> {
    return given === undefined || !this.#isItsCall(given)
      ? this.#proceed(layer)
      : Promise.resolve(this.misuse(layer.index, NEXT_CALL))
  }

  /** Whether `next` was given the call, or a changed copy of it, as an interceptor of grpc-js calls what it names `nextCall`. */
  #isItsCall(given: unknown): boolean {
    return typeof given === 'object' && given !== null && 'method' in given && given.method === this.#terminal.method
  }

  /** The layer answered with a promise of its own. */
  #awaits(layer: Layer, answer: PromiseLike<unknown>): Promise<Status> {
    layer.state = 'pending'
    this.#atOnce = undefined
    const waits = this.#waitFor(layer)
    if (layer.calls === 0 || this.#terminal.mayRepeat(layer.index)) {
      waits.entry = captureScope()
      // Where a next() comes late, calls must be able to tell their own events from each other's.
      enableContext()
    }
    // A promise that is not Node's may throw out of its then().
    const answered = answer instanceof Promise ? answer : Promise.resolve(answer)
    answered.then(
      (value) => this.#settle(layer, this.#judge(layer, value)),
      (error: unknown) => this.#settle(layer, this.#thrown(layer, error)),
    )
    // The outermost layer has no layer outside that could await it.
    if (layer.index === 0) return NEVER
    waits.promise = openPromise()
    waits.resolve = resolverOfLatest()
    return waits.promise
  }

  /** The layer answered without a promise. */
  #answersAtOnce(layer: Layer, status: Status): Promise<Status> {
    layer.state = 'settled'
    this.#forget(layer)
    const recovering = layer.waits?.recovering
    if (recovering !== undefined) {
      this.#askInVain(recovering, status)
      recovering.resolve(status)
    }
    this.acting = layer.index - 1
    return this.endedAtOnce(status)
  }

  /** Tells a layer's status tap what is known by the time its interceptor returns. */
  #tellOwnTap(layer: Layer): void {
    if (this.#atOnce === undefined || layer.calls === 0) return
    this.acting = layer.index
    this.taps?.status(this.#atOnce, layer.index, layer.index + 1, this.#terminal)
  }

  #waitFor(layer: Layer): Waiting {
    this.#waiting ??= new Array<Layer | undefined>(this.#stack.length)
    this.#waiting[layer.index] = layer
    layer.waits ??= new Waiting()
    return layer.waits
  }

  #forget(layer: Layer): void {
    if (this.#waiting?.[layer.index] === layer) this.#waiting[layer.index] = undefined
  }

  // ── A status on its way out ───────────────────────────────────────────────────────────────────────────────────

  /**
   * A status comes out of the layer, or the RPC proper, at an index. Returns it as the layer that waits for it, or the application,
   * is to see it.
   */
  #travel(status: Status, from: number): Status {
    let outer = from - 1
    while (outer >= 0 && this.#waiting?.[outer] === undefined) outer--
    this.acting = outer
    const seen = this.#terminal.counted(status, outer)
    this.taps?.status(status, outer, from, this.#terminal)
    this.#terminal.reached(outer)
    const layer = outer < 0 ? undefined : this.#waiting?.[outer]
    if (layer === undefined) {
      if (!this.#entering) this.#conclude(seen)
      return seen
    }
    const recovering = layer.waits?.recovering
    if (recovering?.asked === false) this.#ask(layer, recovering, seen)
    return seen
  }

  /** The layer has its status. */
  #settle(layer: Layer, status: Status): void {
    if (layer.state === 'settled') return
    const alone = layer.state === 'abandoned'
    layer.state = 'settled'
    let seen = status
    if (!alone) {
      this.#forget(layer)
      seen = this.#travel(status, layer.index)
    }
    const { recovering, resolve } = layer.waits ?? NOT_WAITING
    if (recovering !== undefined) {
      if (!recovering.asked) this.#askInVain(recovering, status)
      recovering.resolve(seen)
    }
    resolve?.(seen)
  }

  #ask(layer: Layer, recovering: Recovering, status: Status): void {
    recovering.asked = true
    let answer: unknown
    try {
      answer = recovering.scope.runInAsyncScope(recovering.recovery, undefined, status)
    } catch (error) {
      this.#recovered(layer, recovering, this.#thrown(layer, error))
      return
    }
    if (answer === undefined) this.#recovered(layer, recovering, status)
    else if (!isThenable(answer)) this.#recovered(layer, recovering, this.#judge(layer, answer))
    else {
      Promise.resolve(answer).then(
        (value) => this.#recovered(layer, recovering, value === undefined ? status : this.#judge(layer, value)),
        (error: unknown) => this.#recovered(layer, recovering, this.#thrown(layer, error)),
      )
    }
  }

  /** A recovery hears of the end like every observer, but nothing depends on it any more. */
  #askInVain(recovering: Recovering, status: Status): void {
    recovering.asked = true
    try {
      const answer: unknown = recovering.scope.runInAsyncScope(recovering.recovery, undefined, status)
      if (isThenable(answer)) Promise.resolve(answer).catch(() => undefined)
    } catch {}
  }

  #recovered(layer: Layer, recovering: Recovering, status: Status): void {
    if (layer.state === 'recovering') this.#settle(layer, status)
    recovering.resolve(status)
  }

  #speakFor(outside: number, status: Status, block: Block | undefined): void {
    const waiting = this.#waiting
    // Without its block the run it was about is over, and another may have begun.
    if (waiting === undefined || this.finished || this.block !== block) return
    for (let i = waiting.length - 1; i > outside; i--) {
      const layer = waiting[i]
      if (layer === undefined) continue
      this.#settle(layer, status)
      if (i - 1 > outside) setImmediate(() => this.#speakFor(outside, status, block))
      return
    }
  }

  #conclude(status: Status): void {
    if (this.finished) return
    this.finished = true
    this.#terminal.finish(this.#terminal.counted(status, -1), this.#inEvent)
    this.abandonInside(-1)
    // Its promise knows the context it was made in, which need not be kept with the call.
    this.#entered = undefined
  }

  // ── Answers ───────────────────────────────────────────────────────────────────────────────────────────────────

  #judge(layer: Layer, value: unknown): Status {
    const interceptor = this.#stack[layer.index] as Interceptor
    return this.#terminal.complete(returnedStatus(value, interceptor, this.#terminal.side, layer.calls > 0))
  }

  #thrown(layer: Layer, error: unknown): Status {
    return thrownStatus(error, this.#stack[layer.index] as Interceptor, this.#terminal.side)
  }
}

/** For those who would need a closure otherwise. */
export const startRun = (run: StackRun): void => run.start()

const NEXT_CALL =
  'called next() with the call, as one of grpc-js does: next() takes nothing; an interceptor of grpc-js goes to grpc-js itself, ' +
  '{ interceptors: [it, ...clientInterceptors(…)] }'
const NONE: (Layer | undefined)[] = []
const NOT_WAITING = new Waiting()
const NEVER: Promise<Status> = new Promise(() => undefined)

function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
  } catch {
    return false // a getter's, and no status either
  }
}
