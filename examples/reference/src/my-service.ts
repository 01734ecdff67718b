import type { MethodDefinition } from '@grpc/grpc-js'

export interface MyRequest {
  readonly name: string
  readonly count?: number
}
export interface MyResponse {
  readonly message: string
}

interface Method<QS extends boolean, RS extends boolean> extends MethodDefinition<MyRequest, MyResponse> {
  readonly requestStream: QS
  readonly responseStream: RS
}

function method<QS extends boolean, RS extends boolean>(
  name: string,
  requestStream: QS,
  responseStream: RS,
): Method<QS, RS> {
  const encode = (value: MyRequest | MyResponse): Buffer => Buffer.from(JSON.stringify(value))
  return {
    path: `/reference.v1.MyService/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: (bytes) => JSON.parse(bytes.toString()) as MyRequest,
    responseSerialize: encode,
    responseDeserialize: (bytes) => JSON.parse(bytes.toString()) as MyResponse,
  }
}

/** The service the reference's examples talk of, with one method of each kind. */
export const MyService = {
  myMethod: method('MyMethod', false, false),
  myStream: method('MyStream', false, true),
  myUpload: method('MyUpload', true, false),
  myChat: method('MyChat', true, true),
} as const
