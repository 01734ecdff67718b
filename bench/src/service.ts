import type { MethodDefinition } from '@grpc/grpc-js'
import { conditions } from './conditions.ts'

/** What every call carries both ways. */
export type Payload = object

/** A process loads the codec that it uses and no other. Connect brings its own. */
const codec = conditions.message === 'protobuf' ? await import('./order.ts') : await import('./bytes.ts')
const { serialize, deserialize } = codec

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Payload, Payload> {
  return {
    path: `/bench.v1.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

/** `unary` answers with its request; `fail` with NOT_FOUND; streams have `MESSAGES` messages. */
export const Echo = {
  unary: method('Unary', false, false),
  fail: method('Fail', false, false),
  hold: method('Hold', false, false),
  serverStream: method('ServerStream', false, true),
  clientStream: method('ClientStream', true, false),
  bidi: method('Bidi', true, true),
} as const

export type EchoMethod = keyof typeof Echo

/** Messages per stream. One operation of a streaming scenario is one message. */
export const MESSAGES: number = conditions.messages
export const SMALL: Payload = codec.SMALL
export const LARGE: Payload = codec.LARGE
