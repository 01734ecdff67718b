import type { Call, Status } from '@grpc-stack/grpc-core'

/** The kinds of RPC as go-grpc-prometheus and its dashboards call them. */
export type MethodType = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream' | 'unknown'

/** What is measured on one side of one method. */
export interface MeasuredMethod {
  readonly side: 'client' | 'server'
  /** Whether whole calls are measured, or each attempt of a retried call. */
  readonly per: 'call' | 'attempt'
  /** `/package.Service/Method`, or `other`: for all unregistered methods, and all beyond a recorder's limit. */
  readonly path: string
  /** `package.Service`, or `other`. */
  readonly service: string
  /** `Method`, or `other`. */
  readonly name: string
  readonly type: MethodType
  /** Where the calls go, as the channel was given it: `dns:shop.internal:443`. Of clients, where it is known. */
  readonly target: string | undefined
}

/** Bytes of all messages of a call, each way. */
export interface MessageSizes {
  sent: number
  received: number
}

/**
 * Takes the measurements of one method. Called for every RPC, so it must not look anything up. What it throws is contained
 * and counted.
 */
export interface MethodRecorder {
  /** An RPC has started, in the context of its caller or handler. */
  started(call: Call): void
  /** It has ended: once for each start, in the context in which the interceptor called `next()`. */
  ended(call: Call, status: Status, durationMs: number, sizes: MessageSizes | undefined): void
  /**
   * This side sent a message. Without it no message is looked at. For unary calls it comes with the end: once, but not
   * for a request an interceptor refused, nor for a response of a call that failed.
   */
  sent?(): void
  /** This side received a message. */
  received?(): void
}

/**
 * Where measurements go. `inMemory()`, `prometheus()` and `openTelemetry()` are recorders; a recorder may serve any number of
 * clients and servers.
 */
export interface Recorder {
  /**
   * The recorder of one method, or undefined if it measures nothing there. Asked once per method and stack, not per call:
   * look things up here.
   */
  method(method: MeasuredMethod): MethodRecorder | undefined
}
