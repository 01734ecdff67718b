import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { HelloReply, HelloRequest } from './messages.ts'

/** The shape of proto-loader-gen-types's output: it does not say which sides stream. */
interface GreeterDefinition extends grpc.ServiceDefinition {
  SayHello: MethodDefinition<HelloRequest, HelloReply, HelloRequest, HelloReply>
  Watch: MethodDefinition<HelloRequest, HelloReply, HelloRequest, HelloReply>
}
export declare const GreeterService: GreeterDefinition
/** As `loadPackageDefinition` gives it without generated types. */
export declare const dynamicService: grpc.ServiceDefinition
