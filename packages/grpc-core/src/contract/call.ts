import type { CallCredentials, ChannelOptions, Metadata, ServerUnaryCall } from '@grpc/grpc-js'
import type { CallOption } from './call-option.ts'
import type { Context } from './context.ts'
import type { MethodInfo } from './method.ts'
import type { Status } from './status.ts'

/**
 * A concern around an RPC. It may change the call, refuse it by returning a status without calling `next`, watch
 * it by awaiting `next()`, or, on a replayable client call, run it again by calling `next()` again.
 *
 * The same function serves client and server and all four patterns. A thrown `RpcError` ends the RPC with its
 * status; any other throw ends it with INTERNAL, the error kept as `cause` in this process.
 */
export type Interceptor<C extends Call = Call> = (call: C, next: Next) => Status | Promise<Status>

/**
 * Runs what comes after this interceptor. Never throws for an RPC outcome and resolves exactly once, however the
 * RPC ends: success, error, refusal, cancel, deadline, lost connection.
 */
export type Next = () => Promise<Status>

/**
 * What a callback returns that must be synchronous: the types refuse `async` functions. What returns a promise all the same ends its
 * RPC with INTERNAL.
 */
export type Synchronous<R> = R extends PromiseLike<unknown> ? never : R

/** Sees one message as it passes. Returning a value other than undefined replaces it. Must be synchronous. */
export type MessageTap = (message: unknown) => unknown

/** Sees the response metadata as it passes. Returning another `Metadata` replaces it. Must be synchronous. */
export type MetadataTap = (metadata: Metadata) => Metadata | undefined | void

/** Hears how the RPC ended. Must be synchronous; what it throws changes nothing and becomes a process warning. */
export type StatusTap = (status: Status) => void

/**
 * What to do about the status `next()` resolves to: undefined lets it be, a status or the promise of one takes its place.
 */
export type Recovery = (status: Status) => Status | Promise<Status> | undefined

/** One attempt of a client call, about to go out. */
export interface CallAttempt {
  /** From 1 on, over all attempts that the application's call comes to, hedged ones included. */
  readonly number: number
  /** Whether something inside may make another. */
  readonly repeatable: boolean
  /**
   * The call that makes it: the call itself, or the one an interceptor object made inside of it. Metadata set here goes with this
   * attempt alone where it is `repeatable`.
   */
  readonly call: ClientCall
}

/**
 * Hears of an attempt before it goes out; what it returns hears how that attempt ends, once. Both must be synchronous; what
 * they throw changes nothing and becomes a process warning.
 */
export type AttemptTap = (attempt: CallAttempt) => StatusTap | undefined | void

/** One RPC, as interceptors see it on either side. */
export interface Call {
  readonly side: 'client' | 'server'
  readonly method: MethodInfo
  /** Request metadata, this call's own copy: change it or assign another before `next()`. */
  metadata: Metadata
  /**
   * Absolute, epoch milliseconds, `Infinity` when there is none. A client interceptor may shorten it before `next()`:
   * whatever is inside then ends by it. The deadline of the whole call, fixed when the application made it,
   * holds regardless.
   */
  deadline: number
  /** Aborts when the RPC is cancelled or its deadline passes; not when it ends by itself. Made on first use. */
  readonly signal: AbortSignal
  /** State of this RPC, by `ContextVar`. */
  readonly context: Context
  /** Address of the other side, `unknown` or the target while there is no connection. */
  peer(): string
  /** Sees each request message. Register before `next()`; taps run first-registered first. */
  onRequest<R>(tap: (message: unknown) => R & Synchronous<R>): void
  /** Sees each response message. Register before `next()`; taps run last-registered first. */
  onResponse<R>(tap: (message: unknown) => R & Synchronous<R>): void
  /** Sees the response metadata. Register before `next()`; taps run last-registered first. */
  onResponseMetadata(tap: MetadataTap): void
  /**
   * Hears what `next()` resolves to, once, without the cost of awaiting it: an observer that registers this and returns
   * `next()` itself adds next to nothing to a call. Register before `next()`.
   */
  onStatus<R>(tap: (status: Status) => R & Synchronous<R>): void
  /**
   * Runs `next()` and does something about the status where that is needed. The same as
   *
   *     const status = await next()
   *     return (await recovery(status)) ?? status
   *
   * but for an interceptor that returns the promise as it is, a call costs little while there is nothing to do about it.
   */
  recover(next: Next, recovery: Recovery): Promise<Status>
  /**
   * Answers with a message of the interceptor's own; it still returns the status. Repeatable where responses stream.
   * Resolves when the receiver is ready for more. Passes the response taps of outer interceptors.
   */
  respond(message: unknown): Promise<void>
}

/** What a replayable call keeps of its request messages, and until when. */
export interface ReplayLimits {
  /** Serialized bytes of a request stream. A single request is kept as well, whatever its size, and is not counted. */
  readonly maxBytes: number
  /** Messages of a request stream. */
  readonly maxMessages: number
  /**
   * What commits the call, so that there is no further attempt. `headers`: response headers, as gRFC A6 has it. `message`: the first
   * response message, where the request is a single one; response headers are held back until then, so a client and a server
   * of which one waits for the headers and the other for what follows them wait for each other for ever. Default: `headers`.
   */
  readonly commit?: 'headers' | 'message'
  /** Bytes that several calls share: a message that finds no room in it is not kept either. */
  readonly pool?: ReplayPool
}

/** Room for the request bytes that several calls keep. */
export interface ReplayPool {
  /** Takes room; false, and nothing taken, if there is not enough. */
  reserve(bytes: number): boolean
  /** Gives back what was taken. */
  release(bytes: number): void
}

/** The algorithm for request messages: `identity` sends them uncompressed whatever the channel's default is. */
export type Compression = 'identity' | 'deflate' | 'gzip'

export interface ClientCall extends Call {
  readonly side: 'client'
  /** Call credentials in addition to the channel's. */
  credentials: CallCredentials | undefined
  /** Wait for the connection instead of failing with UNAVAILABLE. */
  waitForReady: boolean
  /**
   * `identity` can always be honoured. Another algorithm only if it is the channel's own
   * (`grpc.default_compression_algorithm`), since grpc-js cannot choose per call: assigning one it cannot honour throws.
   */
  compression: Compression | undefined
  /**
   * Target of the channel. On a stub with a channel of its own it is undefined until the first attempt has begun, and for
   * good on a channel that is not grpc-js's.
   */
  readonly target: string | undefined
  /**
   * Whether the transport is encrypted. On a stub with a channel of its own it is undefined until the first attempt has
   * begun, since grpc-js gives an interceptor no channel before; call credentials, which are asked for once the
   * connection stands, see it. Undefined for good on a channel that is not grpc-js's.
   */
  readonly secure: boolean | undefined
  /**
   * The channel's options, which tell whether it retries by itself. Undefined before `next()`, and where grpc-js does
   * not tell.
   */
  readonly channelOptions: Readonly<ChannelOptions> | undefined
  /** Whether anything of a response was given to the application: no further attempt is possible. */
  readonly committed: boolean
  /**
   * Milliseconds until what is inside ends with DEADLINE_EXCEEDED, unless the call is committed by then: it chooses between attempts
   * and cuts no stream that flows. Set it before `next()`; it holds for that one. Default: none.
   */
  attemptTimeoutMs: number | undefined
  /**
   * Keeps the request messages so that the caller of this method may call `next()` again. Call it before the first
   * `next()`. The state of the call at this interceptor is kept too: what inner ones set during one attempt is gone in the next.
   */
  makeReplayable(limits: ReplayLimits): void
  /** Hears of each attempt that something inside makes, once all interceptors have let it pass. Register before `next()`. */
  onAttempt(tap: AttemptTap): void
  /** Ends the call with CANCELLED, as the application's own `cancel` does. */
  cancel(details?: string): void
  /** The per-call setting with this key, from the call options. */
  option<T>(key: CallOption<T>): T | undefined
}

export interface ServerCall extends Call {
  readonly side: 'server'
  /** TLS facts of the connection. */
  readonly authContext: ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>
  /** The `:authority` the client asked for. */
  readonly host: string
  /**
   * Aborts when the server begins to drain: a stream that would go on for long can end by itself, with OK. On a server without
   * `drain(graceMs)` it never aborts.
   */
  readonly draining: AbortSignal
  /** Sent with the response headers, merged over the handler's; with the trailers when there are no headers. */
  readonly responseMetadata: Metadata
  /** Sent with the status, merged over the handler's. */
  readonly trailers: Metadata
}
