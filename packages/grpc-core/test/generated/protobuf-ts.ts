import type * as grpc from '@grpc/grpc-js'
import type { HelloReply, HelloRequest } from './messages.ts'

/** The shape of protobuf-ts's output for `grpc1_server`. */
export interface IGreeter extends grpc.UntypedServiceImplementation {
  sayHello: grpc.handleUnaryCall<HelloRequest, HelloReply>
  watch: grpc.handleServerStreamingCall<HelloRequest, HelloReply>
}
export declare const greeterDefinition: grpc.ServiceDefinition<IGreeter>
