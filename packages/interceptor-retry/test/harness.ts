import { status as Code, Metadata } from '@grpc/grpc-js'
import type { Behaviour, EndStatus, ServerRpc } from '@grpc-stack/grpc-testing'
import { endWith } from '@grpc-stack/grpc-testing'

/** A behaviour that remembers the RPCs it played. */
export interface Attempts {
  (rpc: ServerRpc): void | Promise<void>
  /** The attempts that reached the server, in order. */
  readonly seen: readonly ServerRpc[]
  /** What each attempt said of the ones before it: `grpc-previous-rpc-attempts`. */
  readonly announced: readonly (readonly unknown[])[]
}

/** A behaviour for each attempt in turn, the last one for all after it. */
export function attempts(...each: readonly Behaviour[]): Attempts {
  const seen: ServerRpc[] = []
  const play = (rpc: ServerRpc) => each[Math.min(seen.push(rpc), each.length) - 1]?.(rpc)
  return Object.defineProperties(play, {
    seen: { value: seen },
    announced: { get: () => seen.map((rpc) => rpc.metadata.get('grpc-previous-rpc-attempts')) },
  }) as Attempts
}

export const unavailable: Behaviour = fail(Code.UNAVAILABLE)

/** Fails at once, with these trailers. */
export function fail(
  code: Code,
  trailers: Readonly<Record<string, string | Buffer>> = {},
  details = 'failing on purpose',
): Behaviour {
  return endWith(failure(code, trailers, details))
}

export function failure(code: Code, trailers: Readonly<Record<string, string | Buffer>> = {}, details = ''): EndStatus {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value)
  return { code, details, metadata }
}

/** UNAVAILABLE with a pushback. */
export function pushedBack(value: string, code: Code = Code.UNAVAILABLE): Behaviour {
  return fail(code, { 'grpc-retry-pushback-ms': value })
}

/** Trailers with a `google.rpc.RetryInfo`. */
export function retryInfo(seconds: number, nanos = 0): Readonly<Record<string, Buffer>> {
  return {
    'grpc-status-details-bin': statusWith('type.googleapis.com/google.rpc.RetryInfo', retryInfoBytes(seconds, nanos)),
  }
}

export function retryInfoBytes(seconds: number, nanos = 0): Buffer {
  const duration = Buffer.concat([varintField(1, seconds), varintField(2, nanos)])
  return bytesField(1, duration)
}

/** A `google.rpc.Status` with one detail. */
export function statusWith(type: string, value: Buffer): Buffer {
  const any = Buffer.concat([bytesField(1, Buffer.from(type)), bytesField(2, value)])
  return Buffer.concat([
    varintField(1, Code.RESOURCE_EXHAUSTED),
    bytesField(2, Buffer.from('slow down')),
    bytesField(3, any),
  ])
}

function varintField(field: number, value: number): Buffer {
  return Buffer.from([field << 3, ...varint(BigInt.asUintN(64, BigInt(value)))])
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(BigInt(bytes.length))]), bytes])
}

function varint(value: bigint): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  bytes.push(Number(left))
  return bytes
}
