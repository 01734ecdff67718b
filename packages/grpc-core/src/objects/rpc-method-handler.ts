import type { status as Code, Metadata } from '@grpc/grpc-js'
import { abort } from '../contract/rpc-error.ts'
import { show } from '../runtime/show.ts'
import { isThenable } from '../runtime/thenable.ts'
import type { ServicerContext } from './servicer-context.ts'

/** What runs an RPC: given the request, or the requests as an async iterable, it returns or promises the answer. */
export type Behavior<I = unknown, O = unknown> = (input: I, context: ServicerContext) => O

/** One request, one response. */
export type UnaryUnaryBehavior<Q, R> = Behavior<Q, R | PromiseLike<R>>
/** One request, a stream of responses: an async generator, or any iterable. */
export type UnaryStreamBehavior<Q, R> = Behavior<Q, Responses<R> | PromiseLike<Responses<R>>>
/** A stream of requests, one response. */
export type StreamUnaryBehavior<Q, R> = Behavior<AsyncIterable<Q>, R | PromiseLike<R>>
/** A stream of requests, a stream of responses. */
export type StreamStreamBehavior<Q, R> = Behavior<AsyncIterable<Q>, Responses<R> | PromiseLike<Responses<R>>>

export type Responses<R> = AsyncIterable<R> | Iterable<R>

/** `any` is a handler that looks at no request and so fits every kind of method. */
export type HandlerPattern = 'unary' | 'clientStream' | 'serverStream' | 'bidi' | 'any'

/** Codecs of a handler for an unregistered method, where messages are bytes. Default: bytes in, bytes out. */
export interface HandlerCodecs<Q, R> {
  readonly requestDeserialize?: (bytes: Buffer) => Q
  readonly responseSerialize?: (response: R) => Buffer
}

/**
 * How an RPC is served, after gRPC Python's class of this name: what `interceptService` returns. Frozen; `with` makes a
 * changed copy.
 */
export interface RpcMethodHandler extends HandlerCodecs<unknown, unknown> {
  readonly pattern: HandlerPattern
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly behavior: Behavior
  with(patch: { readonly behavior: Behavior }): RpcMethodHandler
}

export class BehaviorHandler implements RpcMethodHandler {
  readonly pattern: HandlerPattern
  readonly behavior: Behavior
  readonly requestDeserialize?: (bytes: Buffer) => unknown
  readonly responseSerialize?: (response: unknown) => Buffer

  constructor(pattern: HandlerPattern, behavior: Behavior, codecs: HandlerCodecs<unknown, unknown> = {}) {
    this.pattern = pattern
    this.behavior = behavior
    if (codecs.requestDeserialize) this.requestDeserialize = codecs.requestDeserialize
    if (codecs.responseSerialize) this.responseSerialize = codecs.responseSerialize
    Object.freeze(this)
  }

  get requestStream(): boolean {
    return this.pattern === 'clientStream' || this.pattern === 'bidi'
  }

  get responseStream(): boolean {
    return this.pattern === 'serverStream' || this.pattern === 'bidi'
  }

  with(patch: { readonly behavior: Behavior }): RpcMethodHandler {
    return new BehaviorHandler(this.pattern, checked(patch.behavior, 'handler.with'), this)
  }
}

/**
 * A handler with one request and one response.
 *
 *     unaryUnaryRpcMethodHandler((request: HelloRequest, context) => ({ message: `Hello ${request.name}` }))
 *
 * On a method that streams requests it runs at once and without a request: it may abort or answer, and touching the request
 * ends the RPC with INTERNAL. What it throws ends the RPC: an `RpcError` with its status, anything else with INTERNAL.
 * @throws TypeError if `behavior` is not a function.
 */
export function unaryUnaryRpcMethodHandler<Q = unknown, R = unknown>(
  behavior: UnaryUnaryBehavior<Q, R>,
  codecs?: HandlerCodecs<Q, R>,
): RpcMethodHandler {
  return make('unary', behavior, codecs)
}

/** A handler with one request and a stream of responses. See `unaryUnaryRpcMethodHandler`. */
export function unaryStreamRpcMethodHandler<Q = unknown, R = unknown>(
  behavior: UnaryStreamBehavior<Q, R>,
  codecs?: HandlerCodecs<Q, R>,
): RpcMethodHandler {
  return make('serverStream', behavior, codecs)
}

/** A handler with a stream of requests and one response. */
export function streamUnaryRpcMethodHandler<Q = unknown, R = unknown>(
  behavior: StreamUnaryBehavior<Q, R>,
  codecs?: HandlerCodecs<Q, R>,
): RpcMethodHandler {
  return make('clientStream', behavior, codecs)
}

/** A handler with a stream of requests and a stream of responses. */
export function streamStreamRpcMethodHandler<Q = unknown, R = unknown>(
  behavior: StreamStreamBehavior<Q, R>,
  codecs?: HandlerCodecs<Q, R>,
): RpcMethodHandler {
  return make('bidi', behavior, codecs)
}

/**
 * A handler that ends any RPC with this status, whatever its kind, and reads nothing: a client that waits for the server, or
 * sends nothing at all, gets the answer at once.
 * @throws TypeError if the code is not from 1 to 16 or the details are not a string.
 */
export function abortHandler(code: Code, details = '', metadata?: Metadata): RpcMethodHandler {
  const end = (): never => abort(code, details, metadata?.clone())
  try {
    end()
  } catch (error) {
    if (error instanceof TypeError) throw error
  }
  return make('any', end)
}

/**
 * The handler with a wrapped behaviour, and null for null: what a continuation returned can be given as it is, awaited or
 * not.
 *
 *     return wrapHandler(await continuation(details), (behavior) => async (request, context) => {
 *       const answer = await behavior(request, context)
 *       …
 *       return answer
 *     })
 *
 * The wrapper's second parameter tells what kind of handler it is. Where requests stream, `request` is an async iterable of
 * them; where responses stream, so is the answer, and all a call of the behaviour does is start it.
 */
export function wrapHandler<I = unknown, O = unknown>(
  handler: RpcMethodHandler,
  wrapper: HandlerWrapper<I, O>,
): RpcMethodHandler
export function wrapHandler<I = unknown, O = unknown>(
  handler: RpcMethodHandler | null | undefined,
  wrapper: HandlerWrapper<I, O>,
): RpcMethodHandler | null
export function wrapHandler<I = unknown, O = unknown>(
  handler: PromiseLike<RpcMethodHandler | null | undefined>,
  wrapper: HandlerWrapper<I, O>,
): Promise<RpcMethodHandler | null>
export function wrapHandler(
  handler: RpcMethodHandler | null | undefined | PromiseLike<RpcMethodHandler | null | undefined>,
  wrapper: HandlerWrapper,
): RpcMethodHandler | null | Promise<RpcMethodHandler | null> {
  checked(wrapper, 'wrapHandler: wrapper')
  if (handler === null || handler === undefined) return null
  if (isThenable(handler)) return Promise.resolve(handler).then((resolved) => wrapHandler(resolved, wrapper))
  if (!isMethodHandler(handler)) {
    throw new TypeError(`wrapHandler: the first argument must be a handler or null, got ${show(handler)}`)
  }
  return new BehaviorHandler(
    handler.pattern,
    checked(wrapper(handler.behavior, handler), 'wrapHandler: what the wrapper returned'),
    handler,
  )
}

/**
 * Makes a behaviour around a behaviour. One that is for certain messages says so:
 * `(behavior: UnaryUnaryBehavior<HelloRequest, HelloReply>) => async (request, context) => …`
 */
export type HandlerWrapper<I = unknown, O = unknown> = (
  behavior: Behavior<I, O>,
  handler: RpcMethodHandler,
) => Behavior<I>

const PATTERNS: readonly unknown[] = ['unary', 'clientStream', 'serverStream', 'bidi', 'any'] satisfies HandlerPattern[]

/** By shape: a program may hold a second copy of this library. */
export function isMethodHandler(value: unknown): value is RpcMethodHandler {
  if (typeof value !== 'object' || value === null) return false
  const { pattern, behavior } = value as Partial<RpcMethodHandler>
  return PATTERNS.includes(pattern) && typeof behavior === 'function'
}

function make<I, O, Q, R>(
  pattern: HandlerPattern,
  behavior: Behavior<I, O>,
  codecs?: HandlerCodecs<Q, R>,
): RpcMethodHandler {
  checked(behavior, 'behavior')
  // The messages of a method are what its definition's codecs make: only the author of the behaviour knows their type.
  return new BehaviorHandler(pattern, behavior as Behavior, codecs as HandlerCodecs<unknown, unknown> | undefined)
}

function checked<F>(value: F, what: string): F & Behavior {
  if (typeof value !== 'function') throw new TypeError(`${what} must be a function, got ${show(value)}`)
  return value as F & Behavior
}
