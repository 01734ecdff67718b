import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { show } from './runtime/show.ts'

/** A method as grpc-js defines it. What is sent may be a plain object, what is received is a message. */
export interface ProtobufEsMethod<
  I extends DescMessage,
  O extends DescMessage,
  RequestStream extends boolean,
  ResponseStream extends boolean,
> {
  /** `/package.Service/Method` */
  readonly path: string
  readonly requestStream: RequestStream
  readonly responseStream: ResponseStream
  /** As the method is called in the `.proto` file. */
  readonly originalName: string
  readonly requestSerialize: (value: MessageInitShape<I>) => Buffer
  readonly requestDeserialize: (bytes: Buffer) => MessageShape<I>
  readonly responseSerialize: (value: MessageInitShape<O>) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => MessageShape<O>
}

type Method<M> = M extends { readonly input: infer I extends DescMessage; readonly output: infer O extends DescMessage }
  ? M extends { readonly methodKind: infer Kind }
    ? Kind extends 'unary'
      ? ProtobufEsMethod<I, O, false, false>
      : Kind extends 'server_streaming'
        ? ProtobufEsMethod<I, O, false, true>
        : Kind extends 'client_streaming'
          ? ProtobufEsMethod<I, O, true, false>
          : ProtobufEsMethod<I, O, true, true>
    : never
  : never

/** The service definition that a generated service makes. */
export type ProtobufEsDefinition<S extends DescService> = { readonly [K in keyof S['method']]: Method<S['method'][K]> }

// One service is one definition, as with other generators: a stub and a server compare them by identity.
const known = new WeakMap<DescService, object>()

/**
 * A grpc-js service definition from a service that protoc-gen-es (`@bufbuild/protobuf` 2) generated, for `createClient`,
 * `createServer().addService`, stock servers and `makeGenericClientConstructor`. Methods go by their names in generated
 * code, `sayHello`. What is sent may be a plain object, `{ name: 'world' }`.
 *
 *     import { serviceDefinition } from '@grpc-stack/grpc-core/protobuf-es'
 *     import { Greeter } from './gen/greeter_pb.ts'
 *
 *     const greeter = createClient(serviceDefinition(Greeter), channel)
 *     server.addService(serviceDefinition(Greeter), { sayHello: ({ request }) => ({ message: `Hello ${request.name}` }) })
 *
 * @returns the same object for the same service.
 * @throws TypeError for something that is not such a service.
 */
export function serviceDefinition<S extends DescService>(service: S): ProtobufEsDefinition<S> {
  if (typeof service !== 'object' || service === null || service.kind !== 'service') {
    throw new TypeError(
      `serviceDefinition: expected a service that protoc-gen-es 2 generated, such as Greeter of greeter_pb.ts, got ${show(service)}`,
    )
  }
  let definition = known.get(service)
  if (definition === undefined) {
    definition = Object.fromEntries(
      service.methods.map((method) => [method.localName, methodDefinition(service, method)]),
    )
    known.set(service, definition)
  }
  // Method by method, as the type says.
  return definition as ProtobufEsDefinition<S>
}

function methodDefinition(service: DescService, method: DescMethod) {
  const { input, output, methodKind, name } = method
  return {
    path: `/${service.typeName}/${name}`,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    originalName: name,
    requestSerialize: serializer(input),
    requestDeserialize: deserializer(input),
    responseSerialize: serializer(output),
    responseDeserialize: deserializer(output),
  }
}

function serializer<M extends DescMessage>(schema: M): (value: MessageInitShape<M>) => Buffer {
  return (value) => {
    // Of `undefined` an empty message would be made, and of another type's message one without its fields.
    if (typeof value !== 'object' || value === null || (isMessage(value) && !isMessage(value, schema))) {
      throw new TypeError(`expected a ${schema.typeName} or an object with its fields, got ${described(value)}`)
    }
    const bytes = toBinary(schema, create(schema, value))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

function deserializer<M extends DescMessage>(schema: M): (bytes: Buffer) => MessageShape<M> {
  return (bytes) => fromBinary(schema, bytes)
}

function described(value: unknown): string {
  return isMessage(value) ? `a ${value.$typeName}` : show(value)
}
