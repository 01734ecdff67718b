import { credentials, type MethodDefinition, type Server, ServerCredentials } from '@grpc/grpc-js'
import { type Channel, createChannel } from '../src/index.ts'

/** Messages of the service these tests write handlers and clients for. */
export interface Ask {
  readonly name: string
  readonly times?: number
}
export interface Answer {
  readonly text: string
}

/** As ts-proto writes a method: the type says what streams. */
interface Method<QS extends boolean, RS extends boolean> extends MethodDefinition<Ask, Answer> {
  readonly requestStream: QS
  readonly responseStream: RS
}

function define<QS extends boolean, RS extends boolean>(
  name: string,
  requestStream: QS,
  responseStream: RS,
): Method<QS, RS> {
  const encode = (value: unknown): Buffer => {
    if ((value as { text?: string })?.text === 'unserializable') throw new Error('cannot serialize: secret')
    return Buffer.from(JSON.stringify(value))
  }
  return {
    path: `/greet.v1.Greeter/${name}`,
    requestStream,
    responseStream,
    requestSerialize: (value: Ask): Buffer => encode(value),
    requestDeserialize: (bytes: Buffer): Ask => JSON.parse(bytes.toString()) as Ask,
    responseSerialize: (value: Answer): Buffer => encode(value),
    responseDeserialize: (bytes: Buffer): Answer => JSON.parse(bytes.toString()) as Answer,
  }
}

export const Greeter = {
  greet: define('Greet', false, false),
  greetMany: define('GreetMany', false, true),
  greetAll: define('GreetAll', true, false),
  chat: define('Chat', true, true),
} as const

/** Something to wait for. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** Starts the server on a free port and opens a channel to it. */
export async function connect(server: Server): Promise<Channel> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  // Channels of one process share connections otherwise, also one that is backing off from an earlier server of this port.
  const own = { 'grpc.use_local_subchannel_pool': 1 }
  return createChannel(`127.0.0.1:${port}`, credentials.createInsecure(), own)
}
