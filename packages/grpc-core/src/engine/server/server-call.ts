import { AsyncResource } from 'node:async_hooks'
import { status as Code, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { Interceptor, ServerCall } from '../../contract/call.ts'
import { concealCause, concealedIn } from '../../contract/concealed-cause.ts'
import { RpcContext, storageForCall } from '../../contract/context.ts'
import { isAbsent, isMetadata, usableMetadata } from '../../contract/given-status.ts'
import type { MethodInfo } from '../../contract/method.ts'
import { RemoteStatus, type Status, withAttempts } from '../../contract/status.ts'
import { newMetadata } from '../../grpc-js/metadata.ts'
import { peerText } from '../../grpc-js/peer-text.ts'
import type { GrpcJsStatus } from '../../grpc-js/server-status.ts'
import { causeOf } from '../../grpc-js/status-cause.ts'
import { checkDeadline, type DeadlineTimer, startDeadlineTimer, toEpochMs } from '../../runtime/deadline.ts'
import type { Linked, LinkedList } from '../../runtime/linked-list.ts'
import { show } from '../../runtime/show.ts'
import { abandoned, internalStatus, notMetadata, tapStatus } from '../answer.ts'
import { InterceptedCall } from '../intercepted-call.ts'
import { startRun } from '../stack-run.ts'
import { ConnectionLink, type ServerListener } from './connection-link.ts'
import type { HandlerLink, LinkOwner } from './handler-link.ts'
import { ResponseSender } from './response-sender.ts'
import { reportUnlessSeen } from './unseen-causes.ts'

/** What all calls of a server stack have in common. */
export interface SharedByCalls {
  /** Where what ends an RPC is written: outside of any handler's asynchronous context. */
  readonly scope: AsyncResource
  /** The calls in progress, for a server that wants to end them. */
  readonly active: LinkedList<InterceptedServerCall> | undefined
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal | undefined
}

const NEVER_DRAINING = new AbortController().signal

/**
 * One server RPC: what the handler does with it, grpc-js's listener towards the connection, and the
 * `ServerCall` of interceptors. The only call object of a stack, whatever its length. grpc-js holds it through a `ConnectionLink` on
 * the connection's side and a `HandlerLink` on the handler's, which let go of it at the end.
 *
 *     grpc-js ── onReceive… ──▶ InterceptedServerCall ── StackRun: interceptors ──▶ begin(): the handler
 *     grpc-js ◀─ send… ──────── ResponseSender ◀────── taps, finish() ◀──────────── sendMessage, sendStatus
 */
export class InterceptedServerCall
  extends InterceptedCall
  implements ServerCall, LinkOwner, Linked<InterceptedServerCall>
{
  readonly side = 'server' as const
  readonly #base: ServerInterceptingCallInterface
  readonly #connection: ConnectionLink
  readonly #shared: SharedByCalls | undefined
  before: InterceptedServerCall | undefined
  behind: InterceptedServerCall | undefined
  /** The same RPC outside an interceptor object this call is inside of. */
  readonly #within: InterceptedServerCall | undefined
  #handler!: ServerListener
  /** What grpc-js's handler holds of the RPC; cut at the last event, which the outermost call always gets. */
  link: HandlerLink | undefined
  /** The context of the innermost `next()`, with every AsyncLocalStorage an interceptor entered; the handler's events run in it. */
  #handlerScope: AsyncResource | undefined
  #metadata!: Metadata
  #deadline: number
  #timer: DeadlineTimer | undefined
  #outcome: Promise<Status> | undefined
  #resolveOutcome: ((status: Status) => void) | undefined
  /** The handler, or something in its place, has given its status. */
  #settled: Status | undefined
  #attempting = false
  /** The status has been sent, or the connection is gone. */
  #over = false
  readonly #response: ResponseSender
  #misuse: Status | undefined
  #final: Status | undefined
  #releaseRespond: (() => void) | undefined

  constructor(
    method: MethodInfo,
    stack: readonly Interceptor[],
    base: ServerInterceptingCallInterface,
    shared?: SharedByCalls,
    within?: InterceptedServerCall,
  ) {
    super(method, stack)
    this.#base = base
    this.#shared = shared
    this.#within = within
    this.#deadline = toEpochMs(base.getDeadline())
    this.#connection = new ConnectionLink(base, this, shared?.scope)
    this.#response = new ResponseSender(base, this.#connection, this)
  }

  // ── The call of interceptors ──────────────────────────────────────────────────────────────────────────────────

  get metadata(): Metadata {
    return this.#metadata
  }

  set metadata(metadata: Metadata) {
    if (!isMetadata(metadata)) throw new TypeError(`call.metadata: expected a grpc-js Metadata, got ${show(metadata)}`)
    this.#metadata = metadata
  }

  get deadline(): number {
    return this.#deadline
  }

  set deadline(deadline: number) {
    const value = checkDeadline(deadline)
    if (value >= this.#deadline) return
    this.#deadline = value
    this.#timer?.stop()
    this.#timer = startDeadlineTimer(value, () =>
      this.#refuse(new RemoteStatus(Code.DEADLINE_EXCEEDED, 'Deadline exceeded', newMetadata())),
    )
  }

  get authContext(): ServerCall['authContext'] {
    return this.#base.getAuthContext()
  }

  get host(): string {
    return this.#base.getHost()
  }

  get draining(): AbortSignal {
    return this.#shared?.draining ?? this.#within?.draining ?? NEVER_DRAINING
  }

  get responseMetadata(): Metadata {
    return this.#response.metadata
  }

  get trailers(): Metadata {
    return this.#response.trailers
  }

  peer(): string {
    // Kept from the start of the call, where getPeer() forgets the address of a closed connection.
    const { remoteAddress, remotePort } = this.#base.getConnectionInfo()
    return remoteAddress === undefined ? this.#base.getPeer() : peerText(remoteAddress, remotePort)
  }

  async respond(message: unknown): Promise<void> {
    if (this.#over) return
    if (this.#response.answered && !this.method.responseStream)
      throw new Error('respond: this RPC was already answered')
    await new Promise<void>((resolve) => {
      this.#releaseRespond = resolve
      this.#response.respond(message, resolve)
      if (this.#over) resolve()
    })
  }

  // ── Events from the connection ────────────────────────────────────────────────────────────────────────────────

  onReceiveMetadata(metadata: Metadata): void {
    this.#metadata = metadata
    this.#deadline = Math.min(this.#deadline, this.#within?.deadline ?? Number.POSITIVE_INFINITY)
    this.#shared?.active?.add(this)
    const storage = storageForCall()
    if (storage === undefined) this.run.start()
    else {
      this.run.context = this.rpcContext = this.#within?.rpcContext?.within(this) ?? new RpcContext(undefined, this)
      storage.run(this.rpcContext, startRun, this.run)
    }
  }

  onReceiveMessage(message: unknown): void {
    if (this.#over || this.#settled) return
    if (this.run.taps?.seeRequests) this.#handlerScope?.runInAsyncScope(this.#deliverTapped, this, message)
    else this.#handlerScope?.runInAsyncScope(this.#handler.onReceiveMessage, this.#handler, message)
  }

  #deliverTapped(message: unknown): void {
    let tapped: unknown
    try {
      tapped = this.run.observed.request(message)
    } catch (error) {
      this.tapThrew(error)
      return
    }
    this.#handler.onReceiveMessage(tapped)
  }

  onReceiveHalfClose(): void {
    if (this.#over || this.#settled) return
    this.#handlerScope?.runInAsyncScope(this.#handler.onReceiveHalfClose, this.#handler)
  }

  onCancel(): void {
    this.#shared?.active?.remove(this)
    // Comes at the end of every RPC, success included (grpc-js #2771). Only without a status is it a cancellation.
    if (!this.#over) {
      const late = Date.now() >= this.#deadline
      const [code, details] = late ? [Code.DEADLINE_EXCEEDED, 'Deadline exceeded'] : [Code.CANCELLED, 'Cancelled']
      this.#cutShort(new RemoteStatus(code, details, newMetadata()))
    }
    this.#handlerScope?.runInAsyncScope(this.#handler.onCancel, this.#handler)
    // The last event. An application or interceptor that keeps the call must not thereby keep its handler's context.
    this.#handlerScope = this.#outcome = this.#resolveOutcome = undefined
    this.link?.cut()
  }

  /** Called by the connection link: grpc-js ends the RPC by itself. */
  endedBelow(status: GrpcJsStatus): void {
    this.#cutShort(new RemoteStatus(status.code, status.details, status.metadata))
  }

  /** The connection is gone, or the status has been sent: interceptors learn how the RPC ended, and can not change it. */
  #cutShort(status: Status): void {
    if (this.#over) return
    this.#over = true
    this.#refuse(status)
  }

  /** Ends the RPC with this status, whatever is still working. */
  end(status: Status): void {
    this.#refuse(new RemoteStatus(status.code, status.details, status.metadata))
  }

  /** Sends a last message and ends the RPC with OK. */
  endAfter(message: unknown): void {
    try {
      this.#response.respond(message, () => undefined)
    } catch {
      // A tap threw, which has ended the RPC already.
    }
    this.end({ code: Code.OK })
  }

  /** Ends the RPC without waiting for the handler and the interceptors that are still working. */
  #refuse(status: Status): void {
    if (this.run.finished) return
    this.#releaseRespond?.()
    this.run.block ??= { outside: -1, status }
    this.#settle(status)
    if (!this.run.finished) this.run.decide(status, -1)
    else this.abortInside(-1, status)
  }

  // ── The handler ───────────────────────────────────────────────────────────────────────────────────────────────

  start(listener: ServerListener): void {
    this.#handler = listener
    this.#base.start(this.#connection)
  }

  begin(): Promise<Status> {
    this.#outcome = new Promise((resolve) => {
      this.#resolveOutcome = resolve
    })
    this.#handlerScope = new AsyncResource('GRPC_STACK_CALL', { requireManualDestroy: true })
    this.#attempting = true
    try {
      this.#handlerScope.runInAsyncScope(this.#handler.onReceiveMetadata, this.#handler, this.#metadata)
    } catch (error) {
      this.#settle(internalStatus('server', 'The handler threw', error))
    }
    this.#attempting = false
    if (this.#settled !== undefined) return this.run.endedAtOnce(this.#settled)
    return this.#outcome
  }

  opens(index: number, again: boolean): Status | undefined {
    if (!again) return undefined
    this.#misuse = this.run.misuse(index, 'called next() a second time; a server RPC runs once')
    return this.#misuse
  }

  mayRepeat(): boolean {
    return false
  }

  reached(): void {}

  /** Attempts are a client's: a number that comes with a status is that of another call, which the handler made. */
  counted(status: Status): Status {
    return withAttempts(status, 0, 0)
  }

  complete(status: Status): Status {
    if (status.code !== Code.OK || this.#response.answered || this.method.responseStream) return status
    return new RemoteStatus(Code.UNIMPLEMENTED, 'No message received', status.metadata ?? newMetadata())
  }

  startRead(): void {
    if (!this.#over && !this.#settled) this.#base.startRead()
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#over || this.#settled) return
    // grpc-js takes none at all, and fails on anything else after it has noted the headers as sent: the RPC would hang.
    const headers = isAbsent(metadata) ? newMetadata() : usableMetadata(metadata)
    if (headers !== undefined) this.#response.sendMetadata(headers)
    else this.#settle(internalStatus('server', 'The handler failed', notMetadata('sendMetadata', metadata)))
  }

  /** @param headers of what is further inside, to go out with the message */
  sendMessage(message: unknown, callback: () => void, headers?: Metadata): void {
    // As in grpc-js, the callback of a message that is not sent never comes.
    if (this.#over || this.#settled) return
    if (this.#response.send(message, callback, headers) && !this.#over) callback()
  }

  sendStatus(status: GrpcJsStatus): void {
    if (this.#over || this.#settled) return
    if (!isAbsent(status.metadata) && usableMetadata(status.metadata) === undefined) {
      this.#settle(internalStatus('server', 'The handler failed', notMetadata('trailers', status.metadata)))
      return
    }
    const given = new RemoteStatus(status.code, status.details, status.metadata)
    const cause = given.code === Code.OK ? undefined : causeOf(given.metadata)
    if (cause?.concealed) this.endWith(concealCause<Status>(given, cause.error))
    else this.endWith(cause?.error === undefined ? given : Object.assign(given, { cause: cause.error }))
  }

  /** As `sendStatus`, for a status of this library. */
  endWith(status: Status): void {
    if (!this.#over && !this.#settled) this.#settle(this.complete(status))
  }

  /** What this call, below which no call of grpc-js stands, has to send with the message at hand. */
  takeHeaders(): Metadata | undefined {
    return this.#connection.takeHeaders()
  }

  /** How the RPC has ended, if it has. */
  get ending(): Status | undefined {
    return this.#final ?? this.run.block?.status
  }

  #settle(status: Status): void {
    if (this.#settled) return
    this.#settled = status
    // A handler may end the RPC before begin() has returned: the interceptors are still on the stack then.
    if (this.#attempting) return
    this.run.ended(status, true)
    this.#resolveOutcome?.(status)
  }

  answeredTwice(): void {
    this.#settle(internalStatus('server', `${this.method.path}: an interceptor has responded, and its next() did too`))
  }

  tapThrew(error: unknown): void {
    this.#settle(tapStatus(error, 'server', this.run.taps?.running))
  }

  finish(final: Status): void {
    this.#timer?.stop()
    if (this.#over) return
    this.#over = true
    this.#releaseRespond?.()
    if (this.#settled === undefined) {
      this.#settled = abandoned()
      this.#resolveOutcome?.(this.#settled)
    }
    const status = this.#misuse ?? final
    this.#final = status
    const concealed = concealedIn(status) ?? concealedIn(this.#settled)
    if (concealed !== undefined) reportUnlessSeen(concealed, this)
    this.#response.sendStatus(status)
  }
}
