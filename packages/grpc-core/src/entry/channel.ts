import {
  type CallInvocationTransformer,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  type Client,
  type ClientOptions,
  compressionAlgorithms,
  Channel as GrpcChannel,
  type Interceptor as GrpcInterceptor,
} from '@grpc/grpc-js'
import { type ClientInterceptorLike, validateInterceptors } from '../compose/compose.ts'
import type { Interceptor } from '../contract/call.ts'
import { openBelow } from '../grpc-js/bound-credentials.ts'
import type { ChannelFacts } from '../grpc-js/channel-facts.ts'
import { withoutIpServerName } from '../grpc-js/ip-server-name.ts'
import { checkCopy, markCopy } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'
import { fuseClient, stackOf } from './client-interceptors.ts'
import { checkNames, checkOptionsObject } from './option-names.ts'

/** A generated stub class, or any subclass of grpc-js's `Client`. */
export type StubClass<T extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => T

/**
 * A grpc-js channel that carries interceptors. It can stand wherever grpc-js takes a channel (`channelOverride`), and
 * as the options of a stub it brings its interceptors along: `new GreeterClient('', credentials, channel)`.
 */
export interface Channel extends ChannelInterface {
  /**
   * A callback stub on this channel. Stubs share the connection; closing one closes the channel. Interceptors given per
   * call (`{ interceptors: clientInterceptors(…) }`) run inside the channel's.
   */
  client<T extends Client>(Stub: StubClass<T>, options?: StubOptions): T
  readonly channelOverride: ChannelInterface
  readonly interceptors: GrpcInterceptor[]
}

/** Options of a stub on a channel: the channel's own are settled. */
export type StubOptions = Pick<ClientOptions, 'callInvocationTransformer'>

/**
 * A channel like `new grpc.Channel(…)`, ready for `interceptChannel`, `client` and `createClient`. Over TLS the target may
 * be an IP address on every Node version, which on Node 26 and newer grpc-js's own channel cannot reach.
 * @param options grpc-js channel options
 * @throws TypeError as grpc-js does, and for an option that is none of grpc-js's.
 */
export function createChannel(target: string, credentials: ChannelCredentials, options?: ChannelOptions): Channel
export function createChannel(
  target: string,
  credentials: ChannelCredentials,
  options: ChannelOptions = {},
  ...more: readonly unknown[]
): Channel {
  if (Array.isArray(options) || more.length > 0) {
    throw new TypeError(
      'createChannel: takes a target, credentials and options; interceptors go to interceptChannel(channel, …)',
    )
  }
  checkOptionsObject('createChannel', options, "{ 'grpc.keepalive_time_ms': 60_000 }")
  checkNames('createChannel', options, [])
  const base = new GrpcChannel(target, withoutIpServerName(credentials), options)
  const facts = { secure: credentials._isSecure(), compression: compressionOf(options) }
  return new StackChannel(base, facts, [])
}

/**
 * The channel with these interceptors around it, first outermost. Interceptors the channel already has run inside.
 * Without interceptors: the very same channel.
 * @throws TypeError for something that is not an interceptor or not a channel.
 */
export function interceptChannel<C extends ChannelInterface>(channel: C): C
export function interceptChannel(channel: ChannelInterface, ...interceptors: readonly ClientInterceptorLike[]): Channel
export function interceptChannel(
  channel: ChannelInterface,
  ...interceptors: readonly ClientInterceptorLike[]
): ChannelInterface {
  if (!isChannel(channel)) {
    throw new TypeError(`interceptChannel: the first argument must be a channel, got ${show(channel)}`)
  }
  const added = validateInterceptors(interceptors, 'interceptChannel', 'client')
  if (added.length === 0) return channel
  const { base, known, list } = partsOf(channel, 'interceptChannel: the channel')
  return new StackChannel(base, known, [...added, ...list])
}

/** Whether a value is a channel, of ours or grpc-js's own. */
export function isChannel(value: unknown): value is ChannelInterface {
  return typeof (value as ChannelInterface | undefined)?.createCall === 'function'
}

/**
 * A channel of ours over this one, or the channel itself if it is one.
 * @throws TypeError for one that an incompatible copy of this package made.
 */
export function wrapChannel(channel: ChannelInterface, where: string): Channel {
  const { base, known, list, stack } = partsOf(channel, where)
  return stack ?? new StackChannel(base, known, list)
}

/** What a channel of this library consists of, whichever copy made it. */
interface Parts {
  /** The channel underneath, without interceptors. */
  readonly base: ChannelInterface
  readonly known: Pick<ChannelFacts, 'secure' | 'compression'>
  readonly list: readonly Interceptor[]
}

const PARTS: unique symbol = Symbol.for('@grpc-stack/grpc-core.channel')

function partsOf(channel: ChannelInterface, where: string): Parts & { readonly stack?: Channel } {
  checkCopy(channel, where)
  const parts = (channel as { [PARTS]?: Parts })[PARTS]
  if (parts === undefined) return { base: channel, known: NOTHING_KNOWN, list: [] }
  return { ...parts, stack: channel as Channel } // what has parts is a channel of this library
}

const NOTHING_KNOWN: Parts['known'] = { secure: undefined, compression: undefined }

class StackChannel implements Channel {
  // Own properties: grpc-js copies the options of a stub, and a copy has only those.
  readonly channelOverride: ChannelInterface
  readonly interceptors: GrpcInterceptor[]
  readonly #base: ChannelInterface
  readonly #known: Parts['known']
  readonly #list: readonly Interceptor[]
  readonly #facts: ChannelFacts
  /** The path of the call being created, when an interceptor chose another than the stub's. */
  #path: string | undefined

  static {
    markCopy(StackChannel.prototype)
  }

  constructor(base: ChannelInterface, known: Parts['known'], list: readonly Interceptor[]) {
    this.#base = base
    this.#known = known
    this.#list = list
    this.#facts = {
      ...known,
      target: base.getTarget(),
      canRewritePath: true,
      opensRpc: true,
      open: (nextCall, options, path) => {
        if (path === undefined) return openBelow(nextCall, options)
        // grpc-js binds the stub's path, but creates the call on this channel before nextCall returns.
        this.#path = path
        try {
          return openBelow(nextCall, options)
        } finally {
          this.#path = undefined
        }
      },
    }
    this.channelOverride = this
    this.interceptors = list.length === 0 ? [] : [fuseClient(list, this.#facts)]
  }

  get [PARTS](): Parts {
    return { base: this.#base, known: this.#known, list: this.#list }
  }

  client<T extends Client>(Stub: StubClass<T>, options: StubOptions = {}, ...more: readonly unknown[]): T {
    if (typeof Stub !== 'function') throw new TypeError(`channel.client: expected a stub class, got ${show(Stub)}`)
    checkOptionsObject('channel.client', options, '{ callInvocationTransformer }')
    if (more.length > 0) throw new TypeError('channel.client: takes a stub class and options')
    for (const name in options) {
      if (name === 'callInvocationTransformer') continue
      throw new TypeError(
        `channel.client: unknown option "${name}". Known is "callInvocationTransformer"; interceptors go to interceptChannel(channel, …)`,
      )
    }
    const joined = new WeakMap<readonly GrpcInterceptor[], GrpcInterceptor[]>()
    const append: CallInvocationTransformer = (properties) => {
      const call = options.callInvocationTransformer?.(properties) ?? properties
      const own = call.callOptions.interceptors
      if (own === undefined || own.length === 0) return call
      let interceptors = joined.get(own)
      if (interceptors === undefined) {
        interceptors = this.#join(own)
        joined.set(own, interceptors)
      }
      return { ...call, callOptions: { ...call.callOptions, interceptors } }
    }
    // Address and credentials are the channel's: grpc-js ignores these two beside channelOverride.
    return new Stub('', undefined as unknown as ChannelCredentials, {
      channelOverride: this,
      interceptors: this.interceptors,
      callInvocationTransformer: append,
    })
  }

  /** grpc-js lets the interceptors of a call replace those of the client; here they go inside. */
  #join(own: readonly GrpcInterceptor[]): GrpcInterceptor[] {
    const [first, ...others] = own
    const stack = first && stackOf(first)
    if (stack === undefined) return [...this.interceptors, ...own]
    return [fuseClient([...this.#list, ...stack], this.#facts), ...others]
  }

  createCall(...args: Parameters<ChannelInterface['createCall']>): ReturnType<ChannelInterface['createCall']> {
    const [path, ...rest] = args
    return this.#base.createCall(this.#path ?? path, ...rest)
  }

  close(): void {
    this.#base.close()
  }

  getTarget(): string {
    return this.#base.getTarget()
  }

  getConnectivityState(tryToConnect: boolean): ReturnType<ChannelInterface['getConnectivityState']> {
    return this.#base.getConnectivityState(tryToConnect)
  }

  watchConnectivityState(...args: Parameters<ChannelInterface['watchConnectivityState']>): void {
    this.#base.watchConnectivityState(...args)
  }

  getChannelzRef(): ReturnType<ChannelInterface['getChannelzRef']> {
    return this.#base.getChannelzRef()
  }
}

function compressionOf(options: ChannelOptions): ChannelFacts['compression'] {
  const algorithm = options['grpc.default_compression_algorithm']
  if (algorithm === compressionAlgorithms.gzip) return 'gzip'
  return algorithm === compressionAlgorithms.deflate ? 'deflate' : undefined
}
