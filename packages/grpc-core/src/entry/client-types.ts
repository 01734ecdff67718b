import type { CallOptions as GrpcCallOptions, Metadata } from '@grpc/grpc-js'
import type { StreamCall, UnaryCall } from '../calls/call-handle.ts'
import type { ClientInterceptorLike } from '../compose/compose.ts'
import type { DescribedMethods } from './described-methods.ts'

/** Options of one call. grpc-js's own, and settings made by a `CallOption`, may be spread in. */
export interface ClientCallOptions
  extends Omit<GrpcCallOptions, 'interceptors' | 'interceptor_providers' | 'deadline'> {
  /** Request metadata. Not changed. Default: empty. */
  readonly metadata?: Metadata
  /** The call must end within this many milliseconds. The earlier of this and `deadline` holds. Default: no limit. */
  readonly timeoutMs?: number
  /** The call must end by this time, a Date or epoch milliseconds. Default: never. */
  readonly deadline?: Date | number
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal
  /** Run inside those of the channel, first outermost. */
  readonly interceptors?: readonly ClientInterceptorLike[]
}

/** What a request-streaming method takes: an async generator, an array, any iterable. */
export type Requests<Q> = AsyncIterable<Q> | Iterable<Q>

export type UnaryMethod<Q, R> = (request: Q, options?: ClientCallOptions) => UnaryCall<R>
export type ServerStreamMethod<Q, R> = (request: Q, options?: ClientCallOptions) => StreamCall<R>
export type ClientStreamMethod<Q, R> = (requests: Requests<Q>, options?: ClientCallOptions) => UnaryCall<R>
export type BidiMethod<Q, R> = (requests: Requests<Q>, options?: ClientCallOptions) => StreamCall<R>
/** Where the definition's type does not say which methods stream, as with proto-loader. */
export type DynamicMethod<Q, R> = (input: Q | Requests<Q>, options?: ClientCallOptions) => UnaryCall<R> & StreamCall<R>

/** The client method a method's definition makes. */
export type ClientMethod<M> = M extends {
  readonly requestSerialize: (value: infer Q) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => infer R
  readonly requestStream: infer QS
  readonly responseStream: infer RS
}
  ? boolean extends QS
    ? DynamicMethod<Q, R>
    : QS extends true
      ? RS extends true
        ? BidiMethod<Q, R>
        : ClientStreamMethod<Q, R>
      : RS extends true
        ? ServerStreamMethod<Q, R>
        : UnaryMethod<Q, R>
  : never

/**
 * A client typed from a service definition. Each method goes by its name in the definition and by that name with a small
 * first letter (`SayHello` and `sayHello`). Where the definition's type names no method, any name is one.
 */
export type ServiceClient<D> = [keyof DescribedMethods<D>] extends [never] ? ClientOf<D> : ClientOf<DescribedMethods<D>>

type ClientOf<M> = {
  readonly [K in keyof M]: ClientMethod<M[K]>
} & {
  readonly [K in keyof M as K extends string ? Uncapitalize<K> : never]: ClientMethod<M[K]>
}
