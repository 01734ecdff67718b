import { createServer, type Http2Session, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { credentials } from '@grpc/grpc-js'
import { TestClient } from '@grpc-stack/grpc-testing'
import { type Channel, type ClientInterceptorLike, clientInterceptors, createChannel } from '../src/index.ts'

/** A server of bare HTTP/2, which can answer what no gRPC server would. */
export interface RawPeer {
  stub(...interceptors: readonly ClientInterceptorLike[]): TestClient
  channel(): Channel
  [Symbol.asyncDispose](): Promise<void>
}

/** With a date of its own: that of Node changes by the second, and two answers must be the same. */
const HEADERS = { ':status': 200, 'content-type': 'application/grpc', date: 'Thu, 01 Jan 2026 00:00:00 GMT' }

/** Ends the response with these trailers, without headers before them. */
export function trailersOnly(trailers: OutgoingHttpHeaders): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond({ ...HEADERS, ...trailers }, { endStream: true })
    stream.resume()
  }
}

/** Sends headers, then the trailers. */
export function headersAndTrailers(trailers: OutgoingHttpHeaders): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond({ ...HEADERS }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.end()
    stream.resume()
  }
}

/** A message as gRPC frames it: not compressed, its length, its bytes. */
export function messageFrame(bytes: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(5), bytes])
  frame.writeUInt32BE(bytes.length, 1)
  return frame
}

export async function startRawPeer(respond: (stream: ServerHttp2Stream) => void): Promise<RawPeer> {
  const server = createServer()
  const sessions = new Set<Http2Session>()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream) => {
    stream.on('error', () => undefined) // a client that goes away is no concern of the tests
    respond(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the peer listens on no port')
  const address = `127.0.0.1:${bound.port}`
  const own = { 'grpc.use_local_subchannel_pool': 1 }
  const clients: { close(): void }[] = []
  return {
    stub: (...interceptors) => {
      const options = { ...own, interceptors: clientInterceptors(...interceptors) }
      const client = new TestClient(address, credentials.createInsecure(), options)
      clients.push(client)
      return client
    },
    channel: () => {
      const channel = createChannel(address, credentials.createInsecure(), own)
      clients.push(channel)
      return channel
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close()
      for (const session of sessions) session.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
