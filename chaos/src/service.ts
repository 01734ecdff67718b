import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type requestCallback,
} from '@grpc/grpc-js'

export type Pattern = 'unary' | 'clientStream' | 'serverStream' | 'bidi'

export const patterns: readonly Pattern[] = ['unary', 'clientStream', 'serverStream', 'bidi']

/** `serialize`: the sender's serializer throws. `parse`: the receiver's does. */
export type Fault = 'serialize' | 'parse'

/** A message: its number within its direction, and how many bytes it has. */
export interface Item {
  readonly n: number
  readonly size: number
  readonly fault?: Fault
  /** Hears of it when the message is serialized: what never was cannot have been sent. */
  readonly onSerialize?: () => void
}

/** More than this is refused by either side. */
export const MAX_MESSAGE_BYTES = 256 * 1024

/** The number, then bytes that repeat it. A message of no bytes has no number. */
function serialize({ n, size, fault, onSerialize }: Item): Buffer {
  if (fault === 'serialize') throw new Error('this message cannot be serialized')
  onSerialize?.()
  if (fault === 'parse') return Buffer.from([n & 255])
  if (size === 0) return Buffer.alloc(0)
  const bytes = Buffer.alloc(4 + size, n & 255)
  bytes.writeUInt32BE(n)
  return bytes
}

function deserialize(bytes: Buffer): Item {
  if (bytes.length === 0) return { n: -1, size: 0 }
  if (bytes.length < 5) throw new Error('this message cannot be parsed')
  const n = bytes.readUInt32BE()
  for (const at of [4, bytes.length >> 1, bytes.length - 1]) {
    if (at >= 4 && bytes[at] !== (n & 255)) throw new Error(`message ${n} is damaged`)
  }
  return { n, size: bytes.length - 4 }
}

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Item, Item> {
  return {
    path: `/grpcstack.chaos.Chaos/${name}`,
    originalName: name.charAt(0).toLowerCase() + name.slice(1),
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

export const service: Readonly<Record<Pattern, MethodDefinition<Item, Item>>> = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  bidi: method('Bidi', true, true),
}

/** A stub like the generated ones. */
export interface Stub extends Client {
  unary(request: Item, metadata: Metadata, options: CallOptions, callback: requestCallback<Item>): ClientUnaryCall
  clientStream(metadata: Metadata, options: CallOptions, callback: requestCallback<Item>): ClientWritableStream<Item>
  serverStream(request: Item, metadata: Metadata, options: CallOptions): ClientReadableStream<Item>
  bidi(metadata: Metadata, options: CallOptions): ClientDuplexStream<Item, Item>
}

export const Stub: new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>) => Stub =
  // grpc-js makes the class from the definition, so its type knows none of the methods.
  makeClientConstructor(service, 'grpcstack.chaos.Chaos') as unknown as typeof Stub
