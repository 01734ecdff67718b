import {
  InterceptingCall,
  type Interceptor,
  ListenerBuilder,
  RequesterBuilder,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js'
import { openGrpcJs, serveStock } from './grpc-js-peer.ts'
import type { Variant } from './variant.ts'

/** grpc-js's own interceptors, with every hook in place and none doing anything. */
const client: Interceptor = (options, nextCall) =>
  new InterceptingCall(
    nextCall(options),
    new RequesterBuilder()
      .withStart((metadata, _listener, next) =>
        next(
          metadata,
          new ListenerBuilder()
            .withOnReceiveMetadata((received, pass) => pass(received))
            .withOnReceiveMessage((message, pass) => pass(message))
            .withOnReceiveStatus((status, pass) => pass(status))
            .build(),
        ),
      )
      .withSendMessage((message, next) => next(message))
      .withHalfClose((next) => next())
      .build(),
  )

const server: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(
    call,
    new ResponderBuilder()
      .withStart((next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, pass) => pass(metadata))
            .withOnReceiveMessage((message, pass) => pass(message))
            .withOnReceiveHalfClose((pass) => pass())
            .build(),
        ),
      )
      .withSendMetadata((metadata, next) => next(metadata))
      .withSendMessage((message, next) => next(message))
      .withSendStatus((status, next) => next(status))
      .build(),
  )

const eight = <T>(item: T): T[] => Array.from({ length: 8 }, () => item)

export const bare: Variant = { startServer: () => serveStock(), openClient: (port) => openGrpcJs(port) }

export const nativePassThrough8: Variant = {
  startServer: () => serveStock({ interceptors: eight(server) }),
  openClient: (port) => openGrpcJs(port, { interceptors: eight(client) }),
}
