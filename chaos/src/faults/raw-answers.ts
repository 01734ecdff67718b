import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'

/** What a peer does with a call. It is free to say what no gRPC server would. */
export type Answer = (stream: ServerHttp2Stream) => void

const HEADERS: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc',
  // Node's own date changes by the second.
  date: 'Thu, 01 Jan 2026 00:00:00 GMT',
}
const OK: OutgoingHttpHeaders = { 'grpc-status': '0' }

/** A message in its frame; length and flag may lie. */
export function frame(payload: Buffer, flag = 0, length = payload.length): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(flag)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, payload])
}

const MESSAGE = Buffer.from([0, 0, 0, 0, 0])

function answer(parts: {
  headers?: OutgoingHttpHeaders
  data?: readonly Buffer[]
  trailers?: OutgoingHttpHeaders
}): Answer {
  return (stream) => {
    stream.respond({ ...HEADERS, ...parts.headers }, { waitForTrailers: parts.trailers !== undefined })
    if (parts.trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(parts.trailers ?? {}))
    for (const chunk of parts.data ?? []) stream.write(chunk)
    stream.end()
    stream.resume()
  }
}

function trailersOnly(headers: OutgoingHttpHeaders): Answer {
  return (stream) => {
    stream.respond({ ...HEADERS, ...headers }, { endStream: true })
    stream.resume()
  }
}

function resetWith(code: number, afterHeaders: boolean): Answer {
  return (stream) => {
    if (afterHeaders) stream.respond(HEADERS)
    setImmediate(() => stream.close(code))
    stream.resume()
  }
}

function goAwayWith(code: number, afterHeaders: boolean): Answer {
  return (stream) => {
    if (afterHeaders) stream.respond(HEADERS)
    setImmediate(() => {
      stream.session?.goaway(code)
      stream.session?.destroy()
    })
    stream.resume()
  }
}

const codes = (
  [
    'NO_ERROR',
    'PROTOCOL_ERROR',
    'INTERNAL_ERROR',
    'FLOW_CONTROL_ERROR',
    'SETTINGS_TIMEOUT',
    'STREAM_CLOSED',
    'FRAME_SIZE_ERROR',
    'REFUSED_STREAM',
    'CANCEL',
    'COMPRESSION_ERROR',
    'CONNECT_ERROR',
    'ENHANCE_YOUR_CALM',
    'INADEQUATE_SECURITY',
    'HTTP_1_1_REQUIRED',
  ] as const
).map((name): [string, number] => [name, constants[`NGHTTP2_${name}`]])

const statusCodes = ['', '-1', '17', '99', '1.5', 'abc', '1e400', '0x5', ' 5', '5 ', '16']
const messages = ['%', '%zz', '%E4', 'ü', 'x'.repeat(7000), '%00', '%0d%0a', '']

/** By name. Those of one kind have the same name up to the colon. */
export const answers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ...codes.flatMap(([name, code]): [string, Answer][] => [
    [`RST_STREAM: ${name}`, resetWith(code, false)],
    [`RST_STREAM after headers: ${name}`, resetWith(code, true)],
    [`GOAWAY: ${name}`, goAwayWith(code, false)],
    [`GOAWAY after headers: ${name}`, goAwayWith(code, true)],
  ]),
  ...[200, 204, 301, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504].map((status): [string, Answer] => [
    `HTTP status: ${status}`,
    (stream) => {
      stream.respond(
        { ':status': status, 'content-type': 'text/html', date: HEADERS.date as string },
        { endStream: true },
      )
      stream.resume()
    },
  ]),
  ...['text/html', 'application/grpc-web', 'application/grpc+json', 'application/json', ''].map(
    (type): [string, Answer] => [
      `content type: ${type}`,
      answer({ headers: { 'content-type': type }, data: [frame(MESSAGE)], trailers: OK }),
    ],
  ),
  ...statusCodes.flatMap((code): [string, Answer][] => [
    [
      `grpc-status in trailers: "${code}"`,
      answer({ data: [], trailers: { 'grpc-status': code, 'grpc-message': 'odd' } }),
    ],
    [`grpc-status in headers: "${code}"`, trailersOnly({ 'grpc-status': code, 'grpc-message': 'odd' })],
  ]),
  ...messages.map((message): [string, Answer] => [
    `grpc-message: ${message.slice(0, 10)}`,
    trailersOnly({ 'grpc-status': '5', 'grpc-message': message }),
  ]),
  ['missing: trailers', answer({ data: [frame(MESSAGE)] })],
  ['missing: trailers and message', answer({ data: [] })],
  ['missing: grpc-status', answer({ data: [frame(MESSAGE)], trailers: { 'x-more': 'y' } })],
  ['missing: message before OK', answer({ data: [], trailers: OK })],
  ['doubled: grpc-status', trailersOnly({ 'grpc-status': ['5', '0'] as unknown as string })],
  ['doubled: status in headers and trailers', answer({ headers: { 'grpc-status': '7' }, data: [], trailers: OK })],
  [
    'doubled: informational headers',
    (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</x>' })
      answer({ data: [frame(MESSAGE)], trailers: OK })(stream)
    },
  ],
  ['doubled: message', answer({ data: [frame(MESSAGE), frame(MESSAGE)], trailers: OK })],
  ['content after the end: message and failure', answer({ data: [frame(MESSAGE)], trailers: { 'grpc-status': '5' } })],
  ['compressed flag: no encoding', answer({ data: [frame(MESSAGE, 1)], trailers: OK })],
  [
    'compressed flag: unknown encoding',
    answer({ headers: { 'grpc-encoding': 'zstd' }, data: [frame(MESSAGE, 1)], trailers: OK }),
  ],
  [
    'compressed flag: no gzip',
    answer({ headers: { 'grpc-encoding': 'gzip' }, data: [frame(MESSAGE, 1)], trailers: OK }),
  ],
  ['compressed flag: reserved bits', answer({ data: [frame(MESSAGE, 0xfe)], trailers: OK })],
  ['length: longer than the content', answer({ data: [frame(MESSAGE, 0, 50)], trailers: OK })],
  ['length: shorter than the content', answer({ data: [frame(Buffer.alloc(40), 0, 5)], trailers: OK })],
  ['length: 4 GiB', answer({ data: [frame(MESSAGE, 0, 0xffffffff)], trailers: OK })],
  ['length: over the limit', answer({ data: [frame(MESSAGE, 0, 300_000)], trailers: OK })],
  ['length: half a frame head', answer({ data: [Buffer.from([0, 0])], trailers: OK })],
  ['content: byte by byte', answer({ data: [...frame(MESSAGE)].map((byte) => Buffer.from([byte])), trailers: OK })],
  ['content: empty message', answer({ data: [frame(Buffer.alloc(0))], trailers: OK })],
  ['content: unparsable', answer({ data: [frame(Buffer.from([1]))], trailers: OK })],
  ['metadata: binary that is no base64', answer({ headers: { 'x-bin': '!!!' }, data: [frame(MESSAGE)], trailers: OK })],
  [
    'metadata: __proto__',
    answer({ headers: { ['__proto__']: 'x', constructor: 'y' }, data: [frame(MESSAGE)], trailers: OK }),
  ],
  ['metadata: 60 KiB of it', answer({ data: [frame(MESSAGE)], trailers: { ...OK, 'x-long': 'x'.repeat(60_000) } })],
  [
    'metadata: 900 keys',
    answer({
      data: [frame(MESSAGE)],
      trailers: { ...OK, ...Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`x-${i}`, 'y'])) },
    }),
  ],
  ['connection: closed at once', (stream) => stream.session?.destroy()],
  [
    'connection: closed after headers',
    (stream) => {
      stream.respond(HEADERS)
      setImmediate(() => stream.session?.destroy())
    },
  ],
  ['nothing: no answer', (stream) => stream.resume()],
  [
    'nothing: headers only',
    (stream) => {
      stream.respond(HEADERS)
      stream.resume()
    },
  ],
])
