import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { DescribedMethods } from './described-methods.ts'

/** A handler as an application wrote it. */
export type AnyHandler = (call: never, callback: never) => unknown
/** grpc-js's names for the kinds of handlers. */
export type HandlerType = 'unary' | 'clientStream' | 'serverStream' | 'bidi'

/**
 * Answers by the callback if it declares one, and then by it alone; otherwise by returning the response, or a promise of it.
 */
export type UnaryHandler<Q, R> = (call: ServerUnaryCall<Q, R>, callback: sendUnaryData<R>) => void | R | Promise<R>

/** Reads requests by events or `for await`; answers as a unary handler does. */
export type ClientStreamHandler<Q, R> = (
  call: ServerReadableStream<Q, R>,
  callback: sendUnaryData<R>,
) => void | R | Promise<R>

/**
 * What the handler of a stream returns: nothing, where it writes to the call and ends it, or the responses as an iterable, an async
 * generator say. A Node stream is not taken for responses; its `iterator()` is.
 */
export type StreamAnswer<R> = void | AsyncIterable<R> | Iterable<R>

/** Writes to the call and ends it, or returns the responses. */
export type ServerStreamHandler<Q, R> = (call: ServerWritableStream<Q, R>) => StreamAnswer<R> | Promise<StreamAnswer<R>>

/** Reads requests by events or `for await`; answers as a server-streaming handler does. */
export type BidiHandler<Q, R> = (call: ServerDuplexStream<Q, R>) => StreamAnswer<R> | Promise<StreamAnswer<R>>

/**
 * A handler where the definition's type does not say which sides stream, as with proto-loader. A handler of any kind fits; one
 * written in place sees a call that has the members of all kinds.
 */
export type DynamicHandler<Q, R> = (
  call: ServerUnaryCall<Q, R> & ServerReadableStream<Q, R> & ServerWritableStream<Q, R> & ServerDuplexStream<Q, R>,
  callback: sendUnaryData<R>,
) => R | StreamAnswer<R> | Promise<R | StreamAnswer<R>>

/** The handler a method's definition asks for. */
export type MethodHandler<M> = M extends {
  readonly requestDeserialize: (bytes: Buffer) => infer Q
  readonly responseSerialize: (value: infer R) => Buffer
  readonly requestStream: infer QS
  readonly responseStream: infer RS
}
  ? boolean extends QS
    ? DynamicHandler<Q, R>
    : QS extends true
      ? RS extends true
        ? BidiHandler<Q, R>
        : ClientStreamHandler<Q, R>
      : RS extends true
        ? ServerStreamHandler<Q, R>
        : UnaryHandler<Q, R>
  : never

/**
 * One handler per method of a service definition, by its name there or that name with a small first letter. A method left out
 * answers UNIMPLEMENTED. A definition whose type names no method takes any handlers.
 */
export type Handlers<D> = [keyof DescribedMethods<D>] extends [never]
  ? UntypedServiceImplementation
  : HandlersOf<DescribedMethods<D>>

type HandlersOf<M> = { [K in keyof M]?: MethodHandler<M[K]> } & {
  [K in keyof M as K extends string ? Uncapitalize<K> : never]?: MethodHandler<M[K]>
}
