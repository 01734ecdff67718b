import type { InterceptorOptions, NextCall } from '@grpc/grpc-js'

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
}

export const UNKNOWN_CHANNEL: ChannelFacts = {
  target: undefined,
  secure: undefined,
  compression: undefined,
  canRewritePath: false,
  open: (nextCall, options) => nextCall(options),
}
