import { connect, type Socket } from 'node:net'

/** Frames of HTTP/2 (RFC 9113, section 6), byte by byte: a peer that writes them itself can say what no library would. */
export const frameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8 } as const

export const setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const HEAD_BYTES = 9
const NOTHING = Buffer.alloc(0)

export function http2Frame(type: number, flags: number, stream: number, payload: Buffer = NOTHING): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length)
  settings.forEach(([id, value], at) => {
    payload.writeUInt16BE(id, 6 * at)
    payload.writeUInt32BE(value, 6 * at + 2)
  })
  return http2Frame(frameType.SETTINGS, 0, 0, payload)
}

export const settingsAck: Buffer = http2Frame(frameType.SETTINGS, flag.ACK, 0)

/** A frame with one number, as RST_STREAM and WINDOW_UPDATE have. */
export function numberFrame(type: number, stream: number, value: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(value >>> 0)
  return http2Frame(type, 0, stream, payload)
}

/** Header fields as HPACK literals that go into no table (RFC 7541, section 6.2.2). */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), ...text(name), ...text(value)]))
}

function text(value: string): Buffer[] {
  const bytes = Buffer.from(value, 'latin1')
  return [prefixed(bytes.length), bytes]
}

/** A length of seven bits, and what is more in groups of seven. */
function prefixed(length: number): Buffer {
  if (length < 127) return Buffer.from([length])
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Calls back for each frame in a stream of bytes. */
export function readFrames(
  socket: Socket,
  skip: number,
  onFrame: (type: number, flags: number, stream: number, payload: Buffer) => void,
): void {
  let pending: Buffer = NOTHING
  let toSkip = skip
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    let at = Math.min(toSkip, pending.length)
    toSkip -= at
    while (pending.length - at >= HEAD_BYTES) {
      const length = pending.readUIntBE(at, 3)
      if (pending.length - at < HEAD_BYTES + length) break
      const payload = pending.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
      onFrame(pending.readUInt8(at + 3), pending.readUInt8(at + 4), pending.readUInt32BE(at + 5), payload)
      at += HEAD_BYTES + length
    }
    pending = pending.subarray(at)
  })
}

export const PREFACE_BYTES: number = PREFACE.length

/** The headers of a gRPC call. */
export function callHeaders(path: string, more: readonly (readonly [string, string])[] = []): [string, string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'chaos'],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ...more.map(([name, value]): [string, string] => [name, value]),
  ]
}

export interface FrameClientOptions {
  readonly port: number
  /** The address it calls from. On Linux all of 127.0.0.0/8 are this machine. */
  readonly from: string
  readonly settings?: readonly (readonly [id: number, value: number])[]
  /** A client that is told nothing because it does not read. */
  readonly deaf?: boolean
}

const LARGEST_WINDOW = 2 ** 31 - 1

/** A client of bare frames. Nothing that the server answers harms it. */
export class FrameClient {
  readonly socket: Socket
  #nextStream = 1
  readonly #open = new Map<number, () => void>()
  #onPong: (() => void)[] = []
  #closed: () => void = () => undefined
  readonly closed: Promise<void>

  private constructor(socket: Socket, { settings = [], deaf = false }: FrameClientOptions) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      this.#closed = resolve
    })
    socket.on('error', () => undefined) // the server may close the connection whenever it wants
    socket.on('close', () => {
      for (const over of this.#open.values()) over()
      this.#open.clear()
      this.#ponged()
      this.#closed()
    })
    const given: [number, number][] = [[setting.INITIAL_WINDOW_SIZE, LARGEST_WINDOW]]
    this.send(
      PREFACE,
      settingsFrame([...given, ...settings]),
      numberFrame(frameType.WINDOW_UPDATE, 0, LARGEST_WINDOW - 65_535),
    )
    if (deaf) socket.pause()
    else readFrames(socket, 0, this.#frame.bind(this))
  }

  static async connect(options: FrameClientOptions): Promise<FrameClient> {
    const socket = connect({ port: options.port, host: '127.0.0.1', localAddress: options.from })
    socket.setNoDelay(true)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new FrameClient(socket, options)
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable
  }

  /** Streams that the server has not ended. */
  get openStreams(): number {
    return this.#open.size
  }

  /** False if the server takes its time to read. */
  send(...frames: Buffer[]): boolean {
    return this.isOpen && this.socket.write(Buffer.concat(frames))
  }

  /** Waits until the server has read what was sent, or closed the connection. */
  async drained(): Promise<void> {
    if (!this.socket.writableNeedDrain) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done)
        this.socket.off('close', done)
        resolve()
      }
      this.socket.on('drain', done)
      this.socket.on('close', done)
    })
  }

  nextStream(): number {
    const stream = this.#nextStream
    this.#nextStream += 2
    return stream
  }

  /** Opens a stream with these headers, and leaves it open unless there is a body. Resolves when the server has ended it. */
  request(headers: readonly (readonly [string, string])[], body?: Buffer): Promise<void> {
    const stream = this.nextStream()
    const frames = [http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, headerBlock(headers))]
    if (body !== undefined) frames.push(http2Frame(frameType.DATA, flag.END_STREAM, stream, body))
    return new Promise((resolve) => {
      if (!this.isOpen) return resolve()
      this.#open.set(stream, resolve)
      this.send(...frames)
    })
  }

  /** Resolves when the server has come to read all that was sent. */
  async understood(): Promise<void> {
    if (!this.isOpen) return
    const answered = new Promise<void>((resolve) => this.#onPong.push(resolve))
    this.send(http2Frame(frameType.PING, 0, 0, Buffer.alloc(8)))
    await answered
  }

  close(): void {
    this.socket.destroy()
  }

  #ponged(): void {
    for (const answered of this.#onPong.splice(0)) answered()
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === frameType.SETTINGS && (flags & flag.ACK) === 0) this.send(settingsAck)
    if (type === frameType.PING) {
      if ((flags & flag.ACK) !== 0) this.#ponged()
      // Or the server's keepalive ends the connection.
      else this.send(http2Frame(frameType.PING, flag.ACK, 0, payload))
    }
    const ends = (type === frameType.HEADERS || type === frameType.DATA) && (flags & flag.END_STREAM) !== 0
    if (!ends && type !== frameType.RST_STREAM) return
    this.#open.get(stream)?.()
    this.#open.delete(stream)
  }
}
