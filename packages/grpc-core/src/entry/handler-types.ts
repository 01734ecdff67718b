import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'

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

/** The handler a method's definition asks for. */
export type MethodHandler<M> = M extends {
  readonly requestDeserialize: (bytes: Buffer) => infer Q
  readonly responseSerialize: (value: infer R) => Buffer
  readonly requestStream: infer QS
  readonly responseStream: infer RS
}
  ? boolean extends QS
    ? UnaryHandler<Q, R> | ClientStreamHandler<Q, R> | ServerStreamHandler<Q, R> | BidiHandler<Q, R>
    : QS extends true
      ? RS extends true
        ? BidiHandler<Q, R>
        : ClientStreamHandler<Q, R>
      : RS extends true
        ? ServerStreamHandler<Q, R>
        : UnaryHandler<Q, R>
  : never

/** One handler per method of a service definition. A method left out answers UNIMPLEMENTED. */
export type Handlers<D> = { [K in keyof D]?: MethodHandler<D[K]> }
