import type * as grpc from '@grpc/grpc-js'
import type { HelloReply, HelloRequest } from './messages.ts'

/** The shape of the `.d.ts` that accompanies the output of grpc-tools. */
interface IGreeterService extends grpc.ServiceDefinition<grpc.UntypedServiceImplementation> {
  sayHello: ISayHello
  watch: IWatch
}
interface ISayHello extends grpc.MethodDefinition<HelloRequest, HelloReply> {
  path: '/hello.Greeter/SayHello'
  requestStream: false
  responseStream: false
}
interface IWatch extends grpc.MethodDefinition<HelloRequest, HelloReply> {
  path: '/hello.Greeter/Watch'
  requestStream: false
  responseStream: true
}
export declare const GreeterService: IGreeterService
