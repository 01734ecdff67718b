import {
  Client,
  type ClientOptions,
  status as Code,
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerOptions,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { channelOptions, clientCredentials, serverCredentials } from './endpoint.ts'
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

/** Something done by hand for one RPC. */
export interface ByHand {
  /** Runs the call, or the handler. */
  run<T>(work: () => T): T
  end(): void
}

/** The handlers with something done by hand for each RPC. */
function handlersByHand(begin: (metadata: Metadata) => ByHand): object {
  return Object.fromEntries(
    Object.entries(implementation).map(([name, handler]) => {
      const handle = handler as (call: UnaryCall, respond?: sendUnaryData<Payload>) => void
      const surrounded = (call: UnaryCall, respond?: sendUnaryData<Payload>): void => {
        const rpc = begin(call.metadata)
        if (respond === undefined) call.once('close', () => rpc.end())
        const answer: sendUnaryData<Payload> = (...args) => {
          rpc.end()
          respond?.(...args)
        }
        rpc.run(() => handle(call, respond && answer))
      }
      return [name, surrounded]
    }),
  )
}

/** Serves the echo service with a grpc-js server of any make. */
export async function serveGrpcJs(server: Server, begin?: (metadata: Metadata) => ByHand): Promise<BenchServer> {
  const handlers: object = begin === undefined ? implementation : handlersByHand(begin)
  server.addService(Echo, handlers as UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(), (error, bound) => (error ? reject(error) : resolve(bound)))
  })
  return { port, close: () => server.forceShutdown() }
}

export function serveStock(options: ServerOptions = {}): Promise<BenchServer> {
  return serveGrpcJs(new Server(options))
}

/** The client with something done by hand for each call. */
export function clientByHand(client: BenchClient, begin: () => ByHand): BenchClient {
  const surround = (call: () => Promise<void>): Promise<void> => {
    const rpc = begin()
    return rpc.run(call).finally(() => rpc.end())
  }
  return {
    ...client,
    unary: (large) => surround(() => client.unary(large)),
    fail: () => surround(() => client.fail()),
    serverStream: () => surround(() => client.serverStream()),
    clientStream: () => surround(() => client.clientStream()),
    bidi: () => surround(() => client.bidi()),
  }
}

/**
 * Callbacks as in a generated stub.
 * @param metadata makes what each call sends. Default: nothing.
 */
export function openGrpcJs(
  port: number,
  options: ClientOptions = {},
  metadata: () => Metadata = () => new Metadata(),
): BenchClient {
  const client = new Client(`127.0.0.1:${port}`, clientCredentials(), { ...channelOptions, ...options })
  const call = (name: EchoMethod, message: Payload, expectError: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = Echo[name]
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata(), (error) =>
        (error === null) === expectError ? reject(error ?? new Error(`${path} did not fail`)) : resolve(),
      )
    })
  return {
    unary: (large) => call('unary', large ? LARGE : SMALL, false),
    fail: () => call('fail', SMALL, true),
    serverStream: () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = Echo.serverStream
        const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, SMALL, metadata())
        stream.on('data', () => undefined)
        stream.on('error', reject)
        stream.on('end', resolve)
      }),
    clientStream: () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = Echo.clientStream
        const stream = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata(),
          (error) => (error ? reject(error) : resolve()),
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
        const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata())
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
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata())
      stream.on('error', () => undefined)
      stream.on('data', () => undefined)
      stream.write(SMALL)
      return () => stream.cancel()
    },
    close: () => client.close(),
  }
}
