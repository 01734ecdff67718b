import type { StreamCall, UnaryCall } from '../calls/call-handle.ts'
import type { ClientCallDetails, ClientCallDetailsPatch } from './client-call-details.ts'

/**
 * Runs what comes after the interceptor, with these details and this request, and returns the call at once, before it has
 * ended. It may be called any number of times, one after the other or at the same time. Details may be partial: a
 * member that is absent keeps its value, one that is undefined loses it.
 */
export type UnaryUnaryContinuation<Q, R> = Continuation<Q, UnaryCall<R>>
/** As `UnaryUnaryContinuation`, for a method that answers with a stream. */
export type UnaryStreamContinuation<Q, R> = Continuation<Q, StreamCall<R>>
/** As `UnaryUnaryContinuation`, for a method that takes a stream of requests: any iterable of messages. */
export type StreamUnaryContinuation<Q, R> = Continuation<AsyncIterable<Q> | Iterable<Q>, UnaryCall<R>>
/** As `StreamUnaryContinuation`, for a method that answers with a stream. */
export type StreamStreamContinuation<Q, R> = Continuation<AsyncIterable<Q> | Iterable<Q>, StreamCall<R>>

// The type of a method, whose parameters TypeScript compares in both directions: an interceptor of one message type must
// fit into a list of interceptors of all kinds.
type Continuation<I, C> = { call(details: ClientCallDetails | ClientCallDetailsPatch, input: I): C }['call']

/** What an interceptor may answer with where the response is a single message. */
export type UnaryAnswer<R> = R | PromiseLike<R>
/** What an interceptor may answer with where responses stream: the call of its continuation, or any iterable. */
export type StreamAnswer<R> = AsyncIterable<R> | Iterable<R> | PromiseLike<AsyncIterable<R> | Iterable<R>>

/**
 * Intercepts calls with one request and one response, after gRPC Python's class of this name.
 *
 *     const interceptor: UnaryUnaryClientInterceptor = {
 *       async interceptUnaryUnary(continuation, details, request) {
 *         try {
 *           return await continuation(details, request)
 *         } catch (error) {
 *           if (error instanceof RpcError && error.code === status.NOT_FOUND) return {}
 *           throw error
 *         }
 *       },
 *     }
 *
 * What it returns is the application's response; what it throws ends the call. An object may implement any of the four
 * methods; calls of the other kinds pass it by.
 */
export interface UnaryUnaryClientInterceptor<Q = unknown, R = unknown> {
  interceptUnaryUnary(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): UnaryAnswer<R>
}

/** Intercepts calls with one request and a stream of responses. See `UnaryUnaryClientInterceptor`. */
export interface UnaryStreamClientInterceptor<Q = unknown, R = unknown> {
  interceptUnaryStream(
    continuation: UnaryStreamContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): StreamAnswer<R>
}

/**
 * Intercepts calls with a stream of requests and one response. `requests` can be iterated once: an interceptor that calls
 * the continuation again must have kept the messages. See `UnaryUnaryClientInterceptor`.
 */
export interface StreamUnaryClientInterceptor<Q = unknown, R = unknown> {
  interceptStreamUnary(
    continuation: StreamUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    requests: AsyncIterable<Q>,
  ): UnaryAnswer<R>
}

/** Intercepts calls that stream both ways. See `StreamUnaryClientInterceptor`. */
export interface StreamStreamClientInterceptor<Q = unknown, R = unknown> {
  interceptStreamStream(
    continuation: StreamStreamContinuation<Q, R>,
    details: ClientCallDetails,
    requests: AsyncIterable<Q>,
  ): StreamAnswer<R>
}

/** An object with any of the four. */
export type ClientInterceptor<Q = unknown, R = unknown> = Partial<
  UnaryUnaryClientInterceptor<Q, R> &
    UnaryStreamClientInterceptor<Q, R> &
    StreamUnaryClientInterceptor<Q, R> &
    StreamStreamClientInterceptor<Q, R>
>
