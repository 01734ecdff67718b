import type { Metadata } from '@grpc/grpc-js'
import { show } from '../runtime/show.ts'
import type { GrpcJsStatus } from './server-status.ts'

/**
 * What response headers, and trailers with the status, may take each: as an HTTP/2 header list, which counts names, values
 * and 32 bytes for each pair. gRPC over HTTP/2 has peers accept this much unless they say otherwise
 * (PROTOCOL-HTTP2.md, "Responses").
 */
export const DEFAULT_MAX_METADATA_BYTES = 8192

/** Node sends no more: a larger header block hangs the call and every later call of its connection. */
const MOST_BYTES = 65_536
const LEAST_BYTES = 1024

/** What grpc-js and Node add to each: `:status`, `content-type`, `date`, `grpc-status`, the encodings. */
const OWN_BYTES = 400
/** Peers on Node accept 128 pairs, with those that grpc-js and Node add. */
const MOST_PAIRS = 118
const PAIR_BYTES = 32

/** What one UTF-16 unit may take when it is percent-encoded: three bytes of UTF-8, three characters each. */
const MOST_BYTES_OF_UNIT = 9

const ELLIPSIS = '…'
const LEFT_OUT = ' (metadata left out: too large to send)'

/** @throws TypeError if it is not a limit that can be kept. */
export function checkMetadataLimit(limit: unknown, where: string): number {
  if (typeof limit === 'number' && limit >= LEAST_BYTES && limit <= MOST_BYTES) return limit
  throw new TypeError(`${where} must be a number of bytes from ${LEAST_BYTES} to ${MOST_BYTES}, got ${show(limit)}`)
}

/**
 * The status as a peer can take it: details that grpc-js can encode, and no longer than half of the limit where not all of it
 * fits; of the trailers, those that do.
 * @param marked whether something is missing already
 */
export function fitStatus(status: GrpcJsStatus, limit: number, marked: boolean): GrpcJsStatus {
  const { code, metadata } = status
  // grpc-js throws on details it cannot percent-encode (encodeURI, server-interceptors.ts), which would lose the RPC.
  const details = (typeof status.details === 'string' ? status.details : '').toWellFormed()
  const trailers = metadata?.toHttp2Headers() ?? NO_HEADERS
  const room = limit - OWN_BYTES
  const sizes = sizesOf(trailers)
  // Counted only where it could be too long.
  const mostBytes = details.length * MOST_BYTES_OF_UNIT
  const textBytes = mostBytes + sizes.bytes <= room ? mostBytes : encodedLength(details, room)
  if (!marked && textBytes + sizes.bytes <= room && sizes.pairs <= MOST_PAIRS) {
    return details === status.details ? status : { code, details, metadata: metadata ?? null }
  }
  const half = Math.floor(room / 2)
  const dropped = keysThatDoNotFit(trailers, room - Math.min(textBytes, half) - encodedLength(LEFT_OUT, room))
  const text = shortened(details, half)
  if (dropped.length > 0) warnOnce('trailers')
  return {
    code,
    details: marked || dropped.length > 0 ? text + LEFT_OUT : text,
    metadata: metadata ? without(metadata, dropped) : null,
  }
}

/** Response headers as a peer can take them: the same object, or a copy of those that fit. */
export function fitHeaders(headers: Metadata, limit: number): Metadata {
  const pairs = headers.toHttp2Headers()
  const dropped = keysThatDoNotFit(pairs, limit - OWN_BYTES)
  if (dropped.length === 0) return headers
  warnOnce('response headers')
  return without(headers, dropped)
}

type Headers = ReturnType<Metadata['toHttp2Headers']>

const NO_HEADERS: Headers = {}

function sizeOf(name: string, values: Headers[string]): { bytes: number; pairs: number } {
  const list: readonly unknown[] = Array.isArray(values) ? values : [values]
  let bytes = 0
  for (const value of list) bytes += PAIR_BYTES + name.length + String(value).length
  return { bytes, pairs: list.length }
}

function sizesOf(headers: Headers): { bytes: number; pairs: number } {
  const total = { bytes: 0, pairs: 0 }
  for (const name in headers) {
    const { bytes, pairs } = sizeOf(name, headers[name])
    total.bytes += bytes
    total.pairs += pairs
  }
  return total
}

/** Whole keys: half of the values of one would say something else. Small ones after a large one still fit. */
function keysThatDoNotFit(headers: Headers, room: number): string[] {
  let [bytesLeft, pairsLeft] = [room, MOST_PAIRS]
  return Object.keys(headers).filter((name) => {
    const { bytes, pairs } = sizeOf(name, headers[name])
    if (bytes > bytesLeft || pairs > pairsLeft) return true
    bytesLeft -= bytes
    pairsLeft -= pairs
    return false
  })
}

function without(metadata: Metadata, keys: readonly string[]): Metadata {
  if (keys.length === 0) return metadata
  const copy = metadata.clone()
  for (const key of keys) copy.remove(key)
  return copy
}

/** The text, or as much of it as fits with an ellipsis. Percent-encoded, as grpc-js sends it; no character is cut in two. */
function shortened(text: string, room: number): string {
  if (encodedLength(text, room) <= room) return text
  const [forText] = measure(text, room - encodedLength(ELLIPSIS, room))
  return text.slice(0, forText) + ELLIPSIS
}

/** Bytes of the text as grpc-js sends it, or a number above the limit. */
function encodedLength(text: string, limit: number): number {
  return text.length === 0 ? 0 : measure(text, limit)[1]
}

/** How many UTF-16 units of a well-formed text fit, and the encoded bytes up to the first character that does not. */
function measure(text: string, limit: number): [units: number, bytes: number] {
  let bytes = 0
  for (let i = 0; i < text.length; ) {
    const point = text.codePointAt(i) as number // within the text
    bytes += encodedBytes(point)
    if (bytes > limit) return [i, bytes]
    i += point > 0xffff ? 2 : 1
  }
  return [text.length, bytes]
}

/** What `encodeURI` makes of a character: itself, or three bytes for each byte of it in UTF-8. */
function encodedBytes(point: number): number {
  if (point < 0x80) return UNESCAPED.test(String.fromCharCode(point)) ? 1 : 3
  if (point < 0x800) return 6
  return point < 0x1_0000 ? 9 : 12
}

const UNESCAPED = /[A-Za-z0-9;,/?:@&=+$\-_.!~*'()#]/

let warned = false

function warnOnce(what: string): void {
  if (warned) return
  warned = true
  process.emitWarning(
    `A server left out ${what} that were too large for a peer. Send less of them, or raise option ` +
      '"maxResponseMetadataBytes" of createServer if the peers take more. This is said once.',
    { type: 'GrpcStackWarning', code: 'GRPC_STACK_METADATA_TOO_LARGE' },
  )
}
