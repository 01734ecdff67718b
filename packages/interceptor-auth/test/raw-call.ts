import { connect } from 'node:net'

/** A header field as it goes on the wire; the value may hold any bytes. */
export type RawHeader = readonly [name: string, value: string | Uint8Array]

const REQUEST: readonly RawHeader[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/grpcstack.testing.Test/Unary'],
  [':authority', 'localhost'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
]

// HPACK, RFC 7541: an integer with a prefix of seven bits.
function integer(n: number): Buffer {
  if (n < 127) return Buffer.from([n])
  const bytes = [127]
  let left = n - 127
  for (; left >= 128; left >>>= 7) bytes.push((left & 127) | 128)
  bytes.push(left)
  return Buffer.from(bytes)
}

/** A literal field, never indexed, without Huffman coding. */
function field([name, value]: RawHeader): Buffer {
  const [key, bytes] = [Buffer.from(name, 'latin1'), Buffer.from(value as string, 'latin1')]
  return Buffer.concat([Buffer.from([0x10]), integer(key.length), key, integer(bytes.length), bytes])
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const HEADERS = 1
const CONTINUATION = 9
const RST_STREAM = 3
const GOAWAY = 7
const END_STREAM = 1
const END_HEADERS = 4
const LARGEST_FRAME = 16_384

/**
 * Makes a unary call with headers no client library would send. Resolves when the server has ended the stream or the
 * connection; what it answered is better seen on the server.
 */
export function rawCall(address: string, headers: readonly RawHeader[]): Promise<void> {
  const [host = '', port] = address.split(':')
  const block = Buffer.concat([...REQUEST, ...headers].map(field))
  const parts: Buffer[] = []
  for (let start = 0; start < block.length; start += LARGEST_FRAME) {
    const last = start + LARGEST_FRAME >= block.length
    const part = block.subarray(start, start + LARGEST_FRAME)
    parts.push(frame(start === 0 ? HEADERS : CONTINUATION, last ? END_HEADERS : 0, 1, part))
  }
  const message = Buffer.from('{"text":"hello"}')
  const prefix = Buffer.from([0, 0, 0, 0, message.length])
  return new Promise((resolve) => {
    const socket = connect(Number(port), host)
    let answer = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      for (let at = 0; at + 9 <= answer.length; at += 9 + answer.readUIntBE(at, 3)) {
        const [type, flags, stream] = [answer.readUInt8(at + 3), answer.readUInt8(at + 4), answer.readUInt32BE(at + 5)]
        const ended = type === RST_STREAM || (type === HEADERS && (flags & END_STREAM) !== 0)
        if ((stream === 1 && ended) || type === GOAWAY) socket.destroy()
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.write(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(4, 0, 0, Buffer.alloc(0)),
        ...parts,
        frame(0, END_STREAM, 1, Buffer.concat([prefix, message])),
      ]),
    )
  })
}
