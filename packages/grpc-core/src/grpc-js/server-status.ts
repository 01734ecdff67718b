import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'

/** A status as grpc-js's server calls take it; its type has no exported name since 1.14.2. */
export type GrpcJsStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0]
