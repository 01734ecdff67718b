import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
  ServiceDefinition,
} from '@grpc/grpc-js'

/** A name that the type spells out; an index signature (`[name: string]: …`) spells out none. */
type Spelt<K> = string extends K ? never : number extends K ? never : K

type Streaming<Q, R, QS extends boolean, RS extends boolean> = MethodDefinition<Q, R> & {
  readonly requestStream: QS
  readonly responseStream: RS
}

/** The definition of a method that only its grpc-js handler type describes. A call with a `request` has no request stream. */
type OfHandler<H> = H extends (call: infer C, callback: never) => unknown
  ? C extends { request: unknown }
    ? C extends { write: unknown }
      ? H extends handleServerStreamingCall<infer Q, infer R>
        ? Streaming<Q, R, false, true>
        : never
      : H extends handleUnaryCall<infer Q, infer R>
        ? Streaming<Q, R, false, false>
        : never
    : C extends { write: unknown }
      ? H extends handleBidiStreamingCall<infer Q, infer R>
        ? Streaming<Q, R, true, true>
        : never
      : H extends handleClientStreamingCall<infer Q, infer R>
        ? Streaming<Q, R, true, false>
        : never
  : never

type MethodOf<D, K extends keyof D, I> = K extends keyof I
  ? I[K] extends (...of: never) => unknown
    ? OfHandler<I[K]>
    : D[K]
  : D[K]

/**
 * The methods that a definition's type describes, without the index signature that grpc-tools and proto-loader write beside them.
 * protobuf-ts writes `ServiceDefinition<IGreeter>`, whose methods are `any`: there the handlers of `IGreeter` say the types.
 */
export type DescribedMethods<D> =
  D extends ServiceDefinition<infer I>
    ? { [K in keyof D as Spelt<K>]: MethodOf<D, K, I> }
    : { [K in keyof D as Spelt<K>]: D[K] }
