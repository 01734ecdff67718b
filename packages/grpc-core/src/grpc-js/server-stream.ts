import { constants, type ServerHttp2Stream } from 'node:http2'
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'

/** As much of grpc-js's server calls as leads to the HTTP/2 stream. Private in its types; a test fails when it changes. */
interface Inside {
  /** ServerInterceptingCall: the call nearer to the connection. */
  readonly nextCall?: ServerInterceptingCallInterface
  /** BaseServerInterceptingCall. */
  readonly stream?: ServerHttp2Stream
}

/** The innermost call of grpc-js under this one, which has the stream. The call itself where there is none that it knows. */
export function callAtStream(call: ServerInterceptingCallInterface): ServerInterceptingCallInterface {
  let below = call
  for (let depth = 0; depth < 100; depth++) {
    const { nextCall } = below as unknown as Inside
    if (nextCall === undefined) break
    below = nextCall
  }
  return below
}

/** The stream of grpc-js's innermost server call, or undefined where the call is none of grpc-js 1.14. */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined {
  return (call as unknown as Inside).stream
}

/** Whether the client may go on sending, as far as has been read. */
export function mayBeSending(stream: ServerHttp2Stream | undefined): stream is ServerHttp2Stream {
  return stream !== undefined && !stream.readableEnded && !stream.destroyed
}

/**
 * Ends a stream behind the status of its RPC where the client has not: it would go on sending, and grpc-js go on reading what
 * leads nowhere. RFC 9113, 8.1: a server that needs no more of a request resets the stream with NO_ERROR after a complete
 * response.
 * @param trailers the status is to be sent in trailers, once all messages have left; otherwise it has been sent
 */
export function endBehindStatus(stream: ServerHttp2Stream, trailers: boolean): void {
  // grpc-js sends them in this event, for which it has listened first (server-interceptors.ts, 1.14).
  if (trailers) stream.once('wantTrailers', () => resetSoon(stream))
  else resetSoon(stream)
}

/** In the turn after: of a request that is a single message, the rest may be there already. */
function resetSoon(stream: ServerHttp2Stream): void {
  setImmediate(reset, stream)
}

function reset(stream: ServerHttp2Stream): void {
  if (!mayBeSending(stream) || stream.closed || stream.state.remoteClose === 1) return
  stream.close(constants.NGHTTP2_NO_ERROR)
}
