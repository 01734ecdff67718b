import {
  Client,
  type ClientOptions,
  status as Code,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerOptions,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { Echo, type EchoMethod, LARGE, MESSAGES, type Payload, SMALL } from './service.ts'
import type { BenchClient, BenchServer } from './variant.ts'

type UnaryCall = ServerUnaryCall<Payload, Payload>

/** The handlers of every server built on grpc-js: callback style, as grpc-js's own users write them. */
const implementation = {
  unary: (call: UnaryCall, callback: sendUnaryData<Payload>) => callback(null, call.request),
  fail: (_call: UnaryCall, callback: sendUnaryData<Payload>) =>
    callback({ code: Code.NOT_FOUND, details: 'no such thing' }),
  hold: () => undefined,
  serverStream(call: ServerWritableStream<Payload, Payload>) {
    let sent = 0
    const send = (): void => {
      while (sent < MESSAGES) {
        sent++
        if (!call.write(call.request)) {
          call.once('drain', send)
          return
        }
      }
      call.end()
    }
    send()
  },
  clientStream(call: ServerReadableStream<Payload, Payload>, callback: sendUnaryData<Payload>) {
    call.on('data', () => undefined)
    call.on('end', () => callback(null, SMALL))
  },
  bidi(call: ServerDuplexStream<Payload, Payload>) {
    call.on('data', (message) => call.write(message))
    call.on('end', () => call.end())
  },
}

/** Serves the echo service with a grpc-js server of any make. */
export async function serveGrpcJs(server: Server): Promise<BenchServer> {
  server.addService(Echo, implementation as unknown as UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { port, close: () => server.forceShutdown() }
}

export function serveStock(options: ServerOptions = {}): Promise<BenchServer> {
  return serveGrpcJs(new Server(options))
}

/** Callbacks as in a generated stub. */
export function openGrpcJs(port: number, options: ClientOptions = {}): BenchClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options)
  const call = (name: EchoMethod, message: Payload, expectError: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = Echo[name]
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error) =>
        (error === null) === expectError ? reject(error ?? new Error(`${path} did not fail`)) : resolve(),
      )
    })
  return {
    unary: (large) => call('unary', large ? LARGE : SMALL, false),
    fail: () => call('fail', SMALL, true),
    serverStream: () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = Echo.serverStream
        const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, SMALL)
        stream.on('data', () => undefined)
        stream.on('error', reject)
        stream.on('end', resolve)
      }),
    clientStream: () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = Echo.clientStream
        const stream = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error) =>
          error ? reject(error) : resolve(),
        )
        let sent = 0
        const send = (): void => {
          while (sent < MESSAGES) {
            sent++
            if (!stream.write(SMALL)) {
              stream.once('drain', send)
              return
            }
          }
          stream.end()
        }
        send()
      }),
    bidi: () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = Echo.bidi
        const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
        let received = 0
        stream.on('data', () => {
          if (++received === MESSAGES) stream.end()
          else stream.write(SMALL)
        })
        stream.on('error', reject)
        stream.on('end', resolve)
        stream.write(SMALL)
      }),
    hold(kind) {
      const { path, requestSerialize, responseDeserialize } = kind === 'unary' ? Echo.hold : Echo.bidi
      if (kind === 'unary') {
        const held = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, SMALL, () => undefined)
        return () => held.cancel()
      }
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
      stream.on('error', () => undefined)
      stream.on('data', () => undefined)
      stream.write(SMALL)
      return () => stream.cancel()
    },
    close: () => client.close(),
  }
}
