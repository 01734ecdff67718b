import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'

export const nameAnswers = [
  'no such name',
  'server failure',
  'no address',
  'silence',
  'not DNS',
  'an address where nothing listens',
  'an address',
] as const

export type NameAnswer = (typeof nameAnswers)[number]

const HEAD_BYTES = 12
const RESPONSE = 0x8180
const SERVER_FAILURE = 2
const NO_SUCH_NAME = 3
const TYPE_A = 1
const TTL_SECONDS = 1

/** A DNS server of one answer (RFC 1035, section 4), which can be another one from the next question on. */
export class NameServer {
  answer: NameAnswer = 'an address'
  questions = 0
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (question, from) => this.#asked(question, from))
  }

  static async start(): Promise<NameServer> {
    const socket = createSocket('udp4')
    const server = new NameServer(socket)
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return this.#socket.address().port
  }

  close(): void {
    this.#socket.close()
  }

  #asked(question: Buffer, from: RemoteInfo): void {
    this.questions++
    if (this.answer === 'silence') return
    this.#socket.send(this.answer === 'not DNS' ? Buffer.from('no') : this.#response(question), from.port, from.address)
  }

  #response(question: Buffer): Buffer {
    let end = HEAD_BYTES
    while (question[end]) end += 1 + (question[end] ?? 0)
    const type = question.readUInt16BE(end + 1)
    const head = Buffer.from(question.subarray(0, HEAD_BYTES))
    const addressed = this.answer.startsWith('an address') && type === TYPE_A
    const code = this.answer === 'no such name' ? NO_SUCH_NAME : this.answer === 'server failure' ? SERVER_FAILURE : 0
    head.writeUInt16BE(RESPONSE | code, 2)
    head.writeUInt16BE(addressed ? 1 : 0, 6)
    head.writeUInt32BE(0, 8)
    const asked = question.subarray(HEAD_BYTES, end + 5)
    if (!addressed) return Buffer.concat([head, asked])
    const record = Buffer.alloc(16)
    record.writeUInt16BE(0xc000 | HEAD_BYTES, 0) // the name that was asked for
    record.writeUInt16BE(TYPE_A, 2)
    record.writeUInt16BE(1, 4)
    record.writeUInt32BE(TTL_SECONDS, 6)
    record.writeUInt16BE(4, 10)
    record.set(this.answer === 'an address' ? [127, 0, 0, 1] : [127, 0, 0, 77], 12)
    return Buffer.concat([head, asked, record])
  }
}
