// Stands in for the messages of protobuf-ts, whose code needs @protobuf-ts/runtime: the members that the code of the service uses.

interface MessageType<T> {
  fromBinary(bytes: Uint8Array): T
  toBinary(value: T): Uint8Array
}

export interface HelloRequest {
  name: string
  id: bigint
}
export declare const HelloRequest: MessageType<HelloRequest>

export interface HelloReply {
  message: string
  names: string[]
}
export declare const HelloReply: MessageType<HelloReply>
