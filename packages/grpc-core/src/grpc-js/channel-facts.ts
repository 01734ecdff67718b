import type { ChannelOptions, InterceptorOptions, NextCall } from '@grpc/grpc-js'
import { openBelow } from './bound-credentials.ts'

/** What a stack knows of the channel under it. On a stub with a channel of its own: nothing. */
export interface ChannelFacts {
  readonly target: string | undefined
  readonly secure: boolean | undefined
  /** The channel's own compression of requests. */
  readonly compression: 'deflate' | 'gzip' | undefined
  /** Makes the call below the stack, on another path than the stub's if given. */
  open(nextCall: NextCall, options: InterceptorOptions, path?: string): ReturnType<NextCall>
  /** Whether `open` can honour a path. */
  readonly canRewritePath: boolean
  /** Whether `open` makes an RPC; otherwise an interceptor object stands there, which makes calls of its own. */
  readonly opensRpc: boolean
}

export const UNKNOWN_CHANNEL: ChannelFacts = {
  target: undefined,
  secure: undefined,
  compression: undefined,
  canRewritePath: false,
  opensRpc: true,
  open: openBelow,
}

/** As much of grpc-js's objects as leads from a call to the credentials of its channel. */
interface Inside {
  /** InterceptingCall, and the calls of this library: the call below. */
  readonly nextCall?: Inside
  /** BaseInterceptingCall. */
  readonly call?: Inside
  /** ResolvingCall. */
  readonly channel?: InsideChannel
}

/** InternalChannel. */
interface InsideChannel {
  readonly credentials?: { _isSecure?(): unknown }
  getOptions?(): ChannelOptions
  getTarget?(): string
}

/**
 * Whether the channel under a call of grpc-js is encrypted. There is no public way to ask before the response has come,
 * which is too late for an interceptor that must not send a secret in the clear. Undefined wherever the objects are not those
 * of grpc-js 1.14 (client-interceptors.ts, resolving-call.ts, internal-channel.ts): treat undefined as not encrypted.
 */
export function secureBelow(call: unknown): boolean | undefined {
  const secure = channelBelow(call)?.credentials?._isSecure?.()
  return typeof secure === 'boolean' ? secure : undefined
}

/** The channel under a call of grpc-js, or undefined wherever the objects are not those of grpc-js 1.14. */
export function channelBelow(call: unknown): InsideChannel | undefined {
  let below = call as Inside | undefined
  for (let depth = 0; below?.nextCall !== undefined && depth < 100; depth++) below = below.nextCall
  return below?.call?.channel
}

/** Whether interceptors of grpc-js stand between this call and the channel. */
export function isIntercepted(call: unknown): boolean {
  return (call as Inside).nextCall !== undefined
}
