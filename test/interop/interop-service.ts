import { fileURLToPath } from 'node:url'
import type { MethodDefinition } from '@grpc/grpc-js'
import * as protoLoader from '@grpc/proto-loader'

export interface Request {
  readonly text?: string
  readonly count?: number
  readonly code?: number
  readonly payload?: Buffer
  readonly hold?: string
  readonly flaky?: string
  readonly failures?: number
  readonly pushback?: string
  readonly gzip?: boolean
  readonly ask?: string
}

export interface Response {
  readonly text?: string
  readonly count?: number
  readonly payload?: Buffer
  readonly seen?: Readonly<Record<string, string>>
}

/** What proto-loader does not say: which methods stream. */
interface Method<QS extends boolean, RS extends boolean> extends MethodDefinition<Request, Response> {
  readonly requestStream: QS
  readonly responseStream: RS
}

const loaded = protoLoader.loadSync(fileURLToPath(new URL('./python/interop.proto', import.meta.url)), {
  keepCase: true,
})

export const Interop = loaded['interop.v1.Interop'] as unknown as {
  readonly Unary: Method<false, false>
  readonly ClientStream: Method<true, false>
  readonly ServerStream: Method<false, true>
  readonly Bidi: Method<true, true>
}

/** The same service as protobuf's own descriptors, for libraries that bring their own protobuf. */
export const fileDescriptors: readonly Buffer[] = (
  loaded['interop.v1.Request'] as protoLoader.MessageTypeDefinition<object, object>
).fileDescriptorProtos
