import {
  type ChannelOptions,
  status as Code,
  type deserialize,
  Server,
  type ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  type serialize,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { type ServerInterceptorLike, validateInterceptors } from '../compose/compose.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import { checkMetadataLimit, DEFAULT_MAX_METADATA_BYTES } from '../grpc-js/response-size.ts'
import { LinkedList } from '../runtime/linked-list.ts'
import { show } from '../runtime/show.ts'
import type { AnyHandler, Handlers, HandlerType } from './handler-types.ts'
import { adaptHandler } from './handlers.ts'
import { checkNames, checkOptionsObject } from './option-names.ts'
import { type OnUnmatched, RegisteredMethods } from './registered-methods.ts'
import { fuseServer } from './server-interceptors.ts'
import { unregisteredHandler } from './unregistered.ts'

/** Options of `createServer`: the interceptors, first outermost, beside grpc-js's own server options. */
export interface CreateServerOptions extends ChannelOptions, Omit<ServerOptions, 'interceptors'> {
  readonly interceptors?: readonly ServerInterceptorLike[]
  /**
   * The most that the headers of a response may take, and its trailers together with code and details, in bytes of an HTTP/2
   * header list: names, percent-encoded or base64 values, and 32 for each pair. Details that are longer end with an ellipsis;
   * keys that do not fit are left out, which the details say, and once a process warning. From 1024 to 65536, beyond which
   * Node cannot send. Default: 8192, which gRPC over HTTP/2 has every peer accept; one that gets more than it takes may break
   * off the call or its connection.
   */
  readonly maxResponseMetadataBytes?: number
  /**
   * What happens when the server binds and a name in a matcher (of `select`, `stacks`, or an option such as `public`) is that of none
   * of its methods, so that what was to guard them guards nothing. `error`: `bindAsync` throws and says what was probably meant.
   * `warn`: a process warning, for a list of interceptors that several servers share. Default: `error`. A method that `stacks`
   * leaves without an entry is an error either way.
   */
  readonly unmatched?: OnUnmatched
}

/**
 * A grpc-js server. Its handlers may be callback style, functions returning or promising the response, or async
 * generators; what they throw becomes a status, and the text of an error that was not meant as a status never reaches the
 * peer. Interceptors also see RPCs to unregistered methods, with `call.method.registered` false.
 */
export class StackServer extends Server {
  readonly #active: LinkedList<InterceptedServerCall>
  readonly #drain: AbortController
  readonly #methods: RegisteredMethods
  #draining: Promise<void> | undefined

  /** Use `createServer`. */
  constructor(
    options: ServerOptions,
    active: LinkedList<InterceptedServerCall>,
    drain: AbortController,
    methods: RegisteredMethods,
  ) {
    super(options)
    this.#active = active
    this.#drain = drain
    this.#methods = methods
  }

  /** Aborts when the server begins to drain: what serves long streams can end them, with OK. Calls have the same signal. */
  get draining(): AbortSignal {
    return this.#drain.signal
  }

  /**
   * @throws Error as grpc-js does, for a method registered before; TypeError if the server has bound and a `stacks` table leaves a
   *   method without an entry.
   */
  override addService<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>): void
  override addService(definition: ServiceDefinition, implementation: object): void {
    // grpc-js refuses what is no definition.
    if (typeof definition === 'object' && definition !== null) this.#methods.announce(definition)
    super.addService(definition, implementation as UntypedServiceImplementation)
  }

  override register<Q, R>(
    path: string,
    handler: UntypedHandleCall,
    responseSerialize: serialize<R>,
    requestDeserialize: deserialize<Q>,
    type: string,
  ): boolean {
    const adapted = adaptHandler(handler as AnyHandler, type as HandlerType) as UntypedHandleCall
    this.#methods.add(path, type)
    return super.register(path, adapted, responseSerialize, requestDeserialize, type)
  }

  override unregister(name: string): boolean {
    this.#methods.remove(name)
    return super.unregister(name)
  }

  /** @throws TypeError if a matcher of the interceptors names none of the methods (`unmatched`); else as grpc-js does. */
  override bindAsync(
    port: string,
    creds: ServerCredentials,
    callback: (error: Error | null, port: number) => void,
  ): void {
    this.#methods.bind('server.bindAsync')
    super.bindAsync(port, creds, callback)
  }

  /** @throws TypeError as `bindAsync` */
  override createConnectionInjector(credentials: ServerCredentials): ReturnType<Server['createConnectionInjector']> {
    this.#methods.bind('server.createConnectionInjector')
    return super.createConnectionInjector(credentials)
  }

  override tryShutdown(callback: (error?: Error) => void): void {
    this.#methods.shutDown()
    super.tryShutdown(callback)
  }

  override forceShutdown(): void {
    this.#methods.shutDown()
    super.forceShutdown()
  }

  /**
   * Stops accepting, lets calls finish for up to `graceMs` milliseconds, then ends the rest with UNAVAILABLE. `draining` aborts at
   * once. Watches of the health service are told NOT_SERVING and ended at once, since they would never finish. Resolves when the
   * last connection is closed. A second call returns the same promise.
   * @throws TypeError if `graceMs` is not a number ≥ 0, or more than that is given.
   */
  override drain(graceMs: number): Promise<void>
  /**
   * grpc-js's own: drains the connections of one port.
   * @throws TypeError if `graceMs` is not a number ≥ 0.
   */
  override drain(port: string, graceMs: number): void
  override drain(first: number | string, ...more: readonly unknown[]): Promise<void> | void {
    const ofPort = typeof first === 'string' && more.length > 0
    const graceMs = ofPort ? more[0] : first
    if (typeof graceMs !== 'number' || !(graceMs >= 0)) {
      const hint = ofPort || typeof first !== 'string' ? '' : '; to drain one port, write drain(port, graceMs)'
      throw new TypeError(`server.drain: graceMs must be a number of milliseconds ≥ 0, got ${show(graceMs)}${hint}`)
    }
    if (ofPort) return super.drain(first, graceMs)
    if (more.length > 0) throw new TypeError('server.drain: takes graceMs alone, and returns a promise')
    this.#draining ??= new Promise((resolve) => {
      this.#drain.abort(new Error('The server is draining'))
      for (const call of this.#active.snapshot()) if (call.method.path === HEALTH_WATCH) call.endAfter(NOT_SERVING)
      let timer = graceMs < 2 ** 31 ? setTimeout(() => end(), graceMs) : undefined
      const end = (): void => {
        for (const call of this.#active.snapshot())
          call.end({ code: Code.UNAVAILABLE, details: 'The server is shutting down' })
        timer = setTimeout(() => this.forceShutdown(), LAST_WORD_MS)
      }
      this.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    return this.#draining
  }
}

/**
 * A server with these interceptors.
 *
 *     const server = createServer({ interceptors: [tracing(), logging()] })
 *     server.addService(GreeterService, { sayHello: async (call) => ({ message: `Hello ${call.request.name}` }) })
 *
 * @throws TypeError for something that is not an interceptor, a limit that is none, an option that there is not, and a second argument.
 */
export function createServer(options?: CreateServerOptions): StackServer
export function createServer(options: CreateServerOptions = {}, ...more: readonly unknown[]): StackServer {
  checkOptionsObject('createServer', options, '{ interceptors: [] }')
  if (more.length > 0)
    throw new TypeError('createServer: takes options alone; interceptors go into { interceptors: [] }')
  const {
    interceptors = [],
    maxResponseMetadataBytes = DEFAULT_MAX_METADATA_BYTES,
    unmatched = 'error',
    ...grpcOptions
  } = options
  // A name one letter short, or a list that was not found, would leave authentication out.
  checkNames('createServer', options, ['interceptors', 'maxResponseMetadataBytes', 'unmatched'])
  if ('interceptors' in options && options.interceptors === undefined) {
    throw new TypeError('createServer: option "interceptors" is undefined; leave it out, or write [], for none')
  }
  if (!Array.isArray(interceptors)) {
    throw new TypeError(`createServer: option "interceptors" must be a list, got ${show(interceptors)}`)
  }
  if (unmatched !== 'error' && unmatched !== 'warn') {
    throw new TypeError(`createServer: option "unmatched" must be "error" or "warn", got ${show(unmatched)}`)
  }
  const list = validateInterceptors(interceptors, 'createServer: option "interceptors"', 'server')
  const limit = checkMetadataLimit(maxResponseMetadataBytes, 'createServer: option "maxResponseMetadataBytes"')
  const active = new LinkedList<InterceptedServerCall>()
  const drain = new AbortController()
  const interceptor = fuseServer(list, active, limit, drain.signal)
  const server = new StackServer(
    { ...grpcOptions, interceptors: [interceptor] },
    active,
    drain,
    new RegisteredMethods(list, unmatched),
  )
  showUnregistered(server)
  return server
}

const HEALTH_WATCH = '/grpc.health.v1.Health/Watch'
/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const NOT_SERVING = { status: 2 }

/** How long a peer has to take the last status before its connection is closed under it. */
const LAST_WORD_MS = 250

/** grpc-js answers a path without a handler before any interceptor (server.ts, 1.14) and has no hook for it; nor is such an answer bounded. */
function showUnregistered(server: StackServer): void {
  // Private in grpc-js's types; a test fails when it is no longer there.
  const internals = server as unknown as { _retrieveHandler(path: string): unknown }
  const retrieve = internals._retrieveHandler
  internals._retrieveHandler = (path) =>
    retrieve.call(server, path) ??
    unregisteredHandler(path, {
      code: Code.UNIMPLEMENTED,
      details: `The server does not implement the method ${path}`,
    })
}
