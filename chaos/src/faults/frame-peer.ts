import { createServer, type Server, type Socket } from 'node:net'
import {
  flag,
  frameType,
  headerBlock,
  http2Frame,
  numberFrame,
  PREFACE_BYTES,
  readFrames,
  setting,
  settingsAck,
  settingsFrame,
} from '../http2-frames.ts'
import { delay } from '../turns.ts'
import { frame } from './raw-answers.ts'
import type { AnsweringPeer } from './raw-peer.ts'

/** What a peer of bare frames does with a connection and a call. */
export interface FrameAnswer {
  /** The settings with which the connection begins. Sent anew when the answer changes: clients keep their connection. */
  readonly settings?: readonly (readonly [id: number, value: number])[]
  /** A stream has headers; further frames of it are of no interest. */
  readonly onStream: (stream: number, connection: FrameConnection) => void
  /** What the client sends is never credited, so that it can send no more than the first window. */
  readonly withoutCredit?: true
}

const HEADERS: readonly [string, string][] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]
const OK: readonly [string, string][] = [['grpc-status', '0']]
const MESSAGE = frame(Buffer.from([0, 0, 0, 0, 0]))
const LATER_MS = 60
/** Clients need a moment to hear of the end of their connection. */
const NOTICED_MS = 20
const LARGEST_WINDOW = 2 ** 31 - 1

const headers = (stream: number, flags = flag.END_HEADERS as number, fields = HEADERS): Buffer =>
  http2Frame(frameType.HEADERS, flags, stream, headerBlock(fields))
const data = (stream: number, flags = 0, payload = MESSAGE): Buffer =>
  http2Frame(frameType.DATA, flags, stream, payload)
const trailers = (stream: number, flags = flag.END_HEADERS | flag.END_STREAM): Buffer =>
  http2Frame(frameType.HEADERS, flags, stream, headerBlock(OK))

/** A message and OK. */
const good = (stream: number): Buffer[] => [headers(stream), data(stream), trailers(stream)]

const frames = (write: (stream: number) => Buffer[]): FrameAnswer => ({
  onStream: (stream, connection) => connection.send(...write(stream)),
})

function settings(first: FrameAnswer['settings'], later: FrameAnswer['settings'] = undefined): FrameAnswer {
  return {
    ...(first && { settings: first }),
    onStream: (stream, connection) => {
      if (later === undefined) connection.send(...good(stream))
      else {
        connection.send(settingsFrame(later), headers(stream))
        setTimeout(() => connection.send(settingsFrame(first ?? []), data(stream), trailers(stream)), LATER_MS)
      }
    },
  }
}

/** By name. Those of one kind have the same name up to the colon. */
export const frameAnswers: ReadonlyMap<string, FrameAnswer> = new Map<string, FrameAnswer>([
  ['settings: none', settings(undefined)],
  ['settings: MAX_CONCURRENT_STREAMS 0', settings([[setting.MAX_CONCURRENT_STREAMS, 0]])],
  ['settings: MAX_CONCURRENT_STREAMS 1', settings([[setting.MAX_CONCURRENT_STREAMS, 1]])],
  [
    'settings: MAX_CONCURRENT_STREAMS 0 during the call',
    settings([[setting.MAX_CONCURRENT_STREAMS, 100]], [[setting.MAX_CONCURRENT_STREAMS, 0]]),
  ],
  ['settings: INITIAL_WINDOW_SIZE 0', settings([[setting.INITIAL_WINDOW_SIZE, 0]])],
  ['settings: INITIAL_WINDOW_SIZE 1', settings([[setting.INITIAL_WINDOW_SIZE, 1]])],
  ['settings: INITIAL_WINDOW_SIZE large', settings([[setting.INITIAL_WINDOW_SIZE, LARGEST_WINDOW]])],
  [
    'settings: INITIAL_WINDOW_SIZE 0 during the call',
    settings([[setting.INITIAL_WINDOW_SIZE, 65_535]], [[setting.INITIAL_WINDOW_SIZE, 0]]),
  ],
  ['settings: INITIAL_WINDOW_SIZE out of range', settings([[setting.INITIAL_WINDOW_SIZE, 2 ** 31]])],
  ['settings: MAX_HEADER_LIST_SIZE 16', settings([[setting.MAX_HEADER_LIST_SIZE, 16]])],
  ['settings: HEADER_TABLE_SIZE 0', settings([[setting.HEADER_TABLE_SIZE, 0]])],
  [
    'settings: HEADER_TABLE_SIZE up and down',
    settings([[setting.HEADER_TABLE_SIZE, 65_536]], [[setting.HEADER_TABLE_SIZE, 0]]),
  ],
  ['settings: MAX_FRAME_SIZE largest', settings([[setting.MAX_FRAME_SIZE, 2 ** 24 - 1]])],
  ['settings: MAX_FRAME_SIZE out of range', settings([[setting.MAX_FRAME_SIZE, 1]])],
  ['settings: ENABLE_PUSH of a server', settings([[setting.ENABLE_PUSH, 1]])],
  ['settings: unknown', settings([[0x7777, 1]])],
  ['settings: acknowledged twice', frames((stream) => [settingsAck, settingsAck, ...good(stream)])],
  [
    'settings: length that is no multiple of six',
    frames(() => [http2Frame(frameType.SETTINGS, 0, 0, Buffer.alloc(5))]),
  ],
  ['headers: doubled', frames((stream) => [headers(stream), headers(stream), data(stream), trailers(stream)])],
  [
    'headers: doubled pseudo-header',
    frames((stream) => [
      headers(stream, flag.END_HEADERS, [[':status', '200'], ...HEADERS]),
      data(stream),
      trailers(stream),
    ]),
  ],
  ['headers: none before data', frames((stream) => [data(stream), trailers(stream)])],
  [
    'headers: pseudo-header after others',
    frames((stream) => [headers(stream, flag.END_HEADERS, [...HEADERS].reverse()), data(stream), trailers(stream)]),
  ],
  [
    'headers: upper case',
    frames((stream) => [
      headers(stream, flag.END_HEADERS, [...HEADERS, ['X-Upper', 'y']]),
      data(stream),
      trailers(stream),
    ]),
  ],
  ['headers: never complete', frames((stream) => [headers(stream, 0)])],
  [
    'headers: in pieces',
    frames((stream) => [
      headers(stream, 0),
      http2Frame(frameType.CONTINUATION, 0, stream, headerBlock([['x-a', 'b']])),
      http2Frame(frameType.CONTINUATION, flag.END_HEADERS, stream),
      data(stream),
      trailers(stream),
    ]),
  ],
  [
    'headers: no HPACK',
    frames((stream) => [http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, Buffer.from([0xff]))]),
  ],
  [
    'trailers: without the end',
    frames((stream) => [headers(stream), data(stream), trailers(stream, flag.END_HEADERS)]),
  ],
  ['trailers: doubled', frames((stream) => [...good(stream), trailers(stream)])],
  ['after the end: data', frames((stream) => [...good(stream), data(stream)])],
  ['after the end: headers', frames((stream) => [...good(stream), headers(stream)])],
  ['after the end: RST_STREAM', frames((stream) => [...good(stream), numberFrame(frameType.RST_STREAM, stream, 0)])],
  [
    'after the end: WINDOW_UPDATE',
    frames((stream) => [...good(stream), numberFrame(frameType.WINDOW_UPDATE, stream, 10)]),
  ],
  ['windows: over the largest', frames((stream) => [numberFrame(frameType.WINDOW_UPDATE, stream, LARGEST_WINDOW)])],
  [
    'windows: of the connection over the largest',
    frames(() => [numberFrame(frameType.WINDOW_UPDATE, 0, LARGEST_WINDOW)]),
  ],
  ['windows: increment of 0', frames((stream) => [numberFrame(frameType.WINDOW_UPDATE, stream, 0)])],
  ['windows: no credit', { ...frames(good), withoutCredit: true }],
  [
    'windows: more data than allowed',
    frames((stream) => [headers(stream), ...Array.from({ length: 1500 }, () => data(stream, 0, Buffer.alloc(16_384)))]),
  ],
  ['streams: of a number never used', frames((stream) => [headers(stream + 100)])],
  ['streams: data on 0', frames(() => [data(0)])],
  [
    'streams: pushed',
    frames((stream) => [http2Frame(frameType.PUSH_PROMISE, flag.END_HEADERS, stream, Buffer.from([0, 0, 0, 2]))]),
  ],
  ['frames: unknown', frames((stream) => [http2Frame(0x77, 0, stream, Buffer.alloc(10)), ...good(stream)])],
  ['frames: larger than allowed', frames((stream) => [headers(stream), data(stream, 0, Buffer.alloc(20_000))])],
  [
    'frames: padding longer than the frame',
    frames((stream) => [headers(stream), data(stream, flag.PADDED, Buffer.from([200, 0]))]),
  ],
  ['frames: PING', frames((stream) => [http2Frame(frameType.PING, 0, 0, Buffer.alloc(8)), ...good(stream)])],
  [
    'frames: PING that was not sent',
    frames((stream) => [http2Frame(frameType.PING, flag.ACK, 0, Buffer.alloc(8)), ...good(stream)]),
  ],
  ['frames: no HTTP/2', frames(() => [Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')])],
  [
    'frames: half of one',
    {
      onStream: (stream, connection) => {
        connection.send(headers(stream).subarray(0, 12))
        connection.end()
      },
    },
  ],
])

/** Listens on a port, and gives each stream the answer of the moment. */
export class FramePeer implements AnsweringPeer<FrameAnswer> {
  #answer: FrameAnswer = frames(good)
  readonly #server: Server
  readonly #connections = new Set<FrameConnection>()

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      const connection = new FrameConnection(socket, () => this.#answer)
      this.#connections.add(connection)
      socket.on('close', () => this.#connections.delete(connection))
    })
  }

  static async start(): Promise<FramePeer> {
    const server = createServer()
    const peer = new FramePeer(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return peer
  }

  get port(): number {
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') throw new Error('the peer listens on no port')
    return bound.port
  }

  /** Connections end, so that each answer has its own with its own settings. */
  async give(answer: FrameAnswer): Promise<void> {
    this.#answer = answer
    if (this.#connections.size === 0) return
    for (const connection of this.#connections) connection.end()
    await delay(NOTICED_MS)
  }

  close(): void {
    for (const connection of this.#connections) connection.end()
    this.#server.close()
  }
}

/** One client's connection. */
export class FrameConnection {
  readonly #socket: Socket

  constructor(socket: Socket, answer: () => FrameAnswer) {
    this.#socket = socket
    const first = answer()
    socket.setNoDelay(true)
    socket.on('error', () => undefined) // a client that goes away is no concern of this peer
    this.send(settingsFrame(first.settings ?? []))
    readFrames(socket, PREFACE_BYTES, (type, flags, stream, payload) => {
      if (type === frameType.SETTINGS && (flags & flag.ACK) === 0) this.send(settingsAck)
      else if (type === frameType.PING && (flags & flag.ACK) === 0) {
        this.send(http2Frame(frameType.PING, flag.ACK, 0, payload))
      } else if (type === frameType.DATA && payload.length > 0 && first.withoutCredit !== true) {
        this.send(
          numberFrame(frameType.WINDOW_UPDATE, 0, payload.length),
          ...((flags & flag.END_STREAM) === 0 ? [numberFrame(frameType.WINDOW_UPDATE, stream, payload.length)] : []),
        )
      } else if (type === frameType.HEADERS) answer().onStream(stream, this)
    })
  }

  send(...all: Buffer[]): void {
    if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(Buffer.concat(all))
  }

  end(): void {
    this.#socket.destroy()
  }
}
