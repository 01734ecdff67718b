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

/** What the test service sends both ways: plain data, as JSON on the wire. */
export interface TestMessage {
  readonly text?: string
  /** In a request for a stream: how many messages the answer has. In answers: a count. */
  readonly n?: number
  /** Ballast. */
  readonly data?: string
}

/** The four kinds of RPC, and the names of the four methods. */
export type TestPattern = 'unary' | 'clientStream' | 'serverStream' | 'bidi'

export const patterns: readonly TestPattern[] = ['unary', 'clientStream', 'serverStream', 'bidi']

/** A message that cannot be serialized. */
export const unserializable: TestMessage = Object.freeze({ text: '\0unserializable' })

/** A message that serializes to bytes the receiver cannot read. */
export const unparsable: TestMessage = Object.freeze({ text: '\0unparsable' })

function serialize(message: TestMessage): Buffer {
  if (message.text === unserializable.text) throw new Error('this message cannot be serialized')
  return Buffer.from(message.text === unparsable.text ? 'not JSON' : JSON.stringify(message))
}

function deserialize(bytes: Buffer): TestMessage {
  return JSON.parse(bytes.toString()) as TestMessage
}

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<TestMessage, TestMessage> {
  return {
    path: `/grpcstack.testing.Test/${name}`,
    originalName: name,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

/** The test service: one method of each kind. */
export const testService: Readonly<Record<TestPattern, MethodDefinition<TestMessage, TestMessage>>> = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  bidi: method('Bidi', true, true),
}

type Callback = requestCallback<TestMessage>

/** A stub like the generated ones. */
export interface TestClient extends Client {
  unary(request: TestMessage, callback: Callback): ClientUnaryCall
  unary(request: TestMessage, metadata: Metadata, callback: Callback): ClientUnaryCall
  unary(request: TestMessage, metadata: Metadata, options: CallOptions, callback: Callback): ClientUnaryCall
  clientStream(callback: Callback): ClientWritableStream<TestMessage>
  clientStream(metadata: Metadata, callback: Callback): ClientWritableStream<TestMessage>
  clientStream(metadata: Metadata, options: CallOptions, callback: Callback): ClientWritableStream<TestMessage>
  serverStream(request: TestMessage, metadata?: Metadata, options?: CallOptions): ClientReadableStream<TestMessage>
  bidi(metadata?: Metadata, options?: CallOptions): ClientDuplexStream<TestMessage, TestMessage>
}

/** The stub's class, for whatever takes one. */
export const TestClient: new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => TestClient =
  // grpc-js makes a class from the definition, so its type knows none of the methods.
  makeClientConstructor(testService, 'grpcstack.testing.Test') as unknown as typeof TestClient
