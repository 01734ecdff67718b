import type { HelloReply, HelloRequest } from './messages.ts'

type Encode<T> = (value: T) => Buffer
type Decode<T> = (value: Buffer) => T

/** The shape of ts-proto's output with `outputServices=grpc-js`. */
export declare const GreeterService: {
  readonly sayHello: {
    readonly path: '/hello.Greeter/SayHello'
    readonly requestStream: false
    readonly responseStream: false
    readonly requestSerialize: Encode<HelloRequest>
    readonly requestDeserialize: Decode<HelloRequest>
    readonly responseSerialize: Encode<HelloReply>
    readonly responseDeserialize: Decode<HelloReply>
  }
  readonly watch: {
    readonly path: '/hello.Greeter/Watch'
    readonly requestStream: false
    readonly responseStream: true
    readonly requestSerialize: Encode<HelloRequest>
    readonly requestDeserialize: Decode<HelloRequest>
    readonly responseSerialize: Encode<HelloReply>
    readonly responseDeserialize: Decode<HelloReply>
  }
}
