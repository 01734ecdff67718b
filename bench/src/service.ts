import type { MethodDefinition } from '@grpc/grpc-js'

/** What every call carries both ways: one protobuf field, `bytes data = 1`. */
export interface Payload {
  readonly data: Uint8Array
}

/** protobuf by hand, the same for every variant but connect's, which brings its own. */
function encode({ data }: Payload): Buffer {
  const head = data.length < 128 ? [0x0a, data.length] : [0x0a, ...varint(data.length)]
  const bytes = Buffer.allocUnsafe(head.length + data.length)
  bytes.set(head, 0)
  bytes.set(data, head.length)
  return bytes
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}

function decode(bytes: Buffer): Payload {
  let start = 1
  while (((bytes[start++] ?? 0) & 128) !== 0);
  return { data: bytes.subarray(start) }
}

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Payload, Payload> {
  return {
    path: `/bench.v1.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  }
}

/** `unary` answers with its request; `fail` with NOT_FOUND; a stream of n messages is asked for by its length in bytes. */
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
export const MESSAGES = 100
export const SMALL: Payload = { data: Buffer.from('sixteen bytes ok') }
export const LARGE: Payload = { data: Buffer.alloc(64 * 1024, 7) }
