import type { Metadata } from '@grpc/grpc-js'
import type { Interceptor, MessageTap, MetadataTap, Next, Recovery, StatusTap } from '../contract/call.ts'
import { type CallRecord, RECORD } from '../contract/call-record.ts'
import { type Context, RpcContext } from '../contract/context.ts'
import type { MethodInfo } from '../contract/method.ts'
import { RpcError } from '../contract/rpc-error.ts'
import type { Status } from '../contract/status.ts'
import { captureScope } from '../runtime/async-scope.ts'
import { StackRun, type Terminal } from './stack-run.ts'

/**
 * What calls of both sides are to interceptors, apart from the RPC itself: the signal, the context, the hooks, and the run of the
 * stack behind them.
 */
export abstract class InterceptedCall implements Terminal {
  abstract readonly side: 'client' | 'server'
  abstract metadata: Metadata
  abstract deadline: number
  readonly method: MethodInfo
  readonly run: StackRun
  controller: CallAbort | undefined
  protected rpcContext: RpcContext | undefined
  /** Of the observers on the run at hand. They find it under a symbol, whichever copy made the call. */
  record: CallRecord | undefined

  static {
    Object.defineProperty(InterceptedCall.prototype, RECORD, {
      get(this: InterceptedCall): CallRecord | undefined {
        return this.record
      },
      set(this: InterceptedCall, record: CallRecord | undefined) {
        this.record = record
      },
    })
  }

  constructor(method: MethodInfo, stack: readonly Interceptor[]) {
    this.method = method
    this.run = new StackRun(this, stack)
  }

  abstract respond(message: unknown): Promise<void>
  abstract peer(): string
  abstract begin(): Promise<Status>
  abstract opens(index: number, again: boolean): Status | undefined
  abstract mayRepeat(index: number): boolean
  abstract reached(index: number): void
  abstract complete(status: Status): Status
  abstract counted(status: Status, index: number): Status
  abstract finish(status: Status, inEvent: boolean): void

  abortInside(_index: number, status: Status): void {
    this.controller?.abort(abortReason(status))
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new CallAbort()
      const { block } = this.run
      if (block !== undefined) this.controller.abort(abortReason(block.status))
    }
    return this.controller.signal
  }

  get context(): Context {
    this.rpcContext ??= new RpcContext()
    return this.rpcContext
  }

  onRequest(tap: MessageTap): void {
    this.run.observed.addRequest(this.run.acting, tap)
  }

  onResponse(tap: MessageTap): void {
    this.run.observed.addResponse(this.run.acting, tap)
  }

  onResponseMetadata(tap: MetadataTap): void {
    this.run.observed.addMetadata(this.run.acting, tap)
  }

  onStatus(tap: StatusTap): void {
    this.run.observed.addStatus(this.run.acting, tap)
  }

  recover(next: Next, recovery: Recovery): Promise<Status> {
    return this.run.recover(next, recovery)
  }
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
