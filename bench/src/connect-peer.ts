import * as http2 from 'node:http2'
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  ServiceDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt'
import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect'
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { certificate, key } from './certificate.ts'
import { conditions } from './conditions.ts'
import { Echo, LARGE, MESSAGES, SMALL } from './service.ts'
import type { BenchClient, BenchServer, Variant } from './variant.ts'

/** The message's file without the service: by hand like its codec, or what order.proto comes to. */
async function messageFile(): Promise<FileDescriptorProto> {
  if (conditions.message === 'protobuf') {
    const { descriptor } = await import('./order.ts')
    return withAbsoluteNames(fromBinary(FileDescriptorProtoSchema, descriptor))
  }
  return create(FileDescriptorProtoSchema, {
    name: 'bench.proto',
    package: 'bench.v1',
    syntax: 'proto3',
    messageType: [
      {
        name: 'Bytes',
        field: [
          {
            name: 'data',
            number: 1,
            type: FieldDescriptorProto_Type.BYTES,
            label: FieldDescriptorProto_Label.OPTIONAL,
            jsonName: 'data',
          },
        ],
      },
    ],
  })
}

/** protobufjs names the types of fields as the file does, from within; protobuf-es takes full names alone. */
function withAbsoluteNames(file: FileDescriptorProto): FileDescriptorProto {
  for (const { name, nestedType, enumType, field } of file.messageType) {
    const within = [...nestedType, ...enumType].map((nested) => nested.name)
    for (const one of field) {
      const place = within.includes(one.typeName) ? `${file.package}.${name}` : file.package
      if (/^[^.]/.test(one.typeName)) one.typeName = `.${place}.${one.typeName}`
    }
  }
  return file
}

/** The echo service for connect, which brings its own protobuf. */
const file = await messageFile()
const type = `${file.package}.${file.messageType[0]?.name}`
file.service.push(
  create(ServiceDescriptorProtoSchema, {
    name: 'Echo',
    method: Object.values(Echo).map(({ path, requestStream, responseStream }) => ({
      name: path.slice(path.lastIndexOf('/') + 1),
      inputType: `.${type}`,
      outputType: `.${type}`,
      clientStreaming: requestStream,
      serverStreaming: responseStream,
    })),
  }),
)
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }))
const service = registry.getService('bench.v1.Echo')
const payload = registry.getMessage(type)
if (!service || !payload) throw new Error('the descriptors of the echo service are broken')
const small = fromBinary(payload, Echo.unary.requestSerialize(SMALL))
const large = fromBinary(payload, Echo.unary.requestSerialize(LARGE))

type Message = typeof small

interface EchoClient {
  unary(request: Message): Promise<Message>
  fail(request: Message): Promise<Message>
  serverStream(request: Message): AsyncIterable<Message>
  clientStream(requests: AsyncIterable<Message>): Promise<Message>
  bidi(requests: AsyncIterable<Message>): AsyncIterable<Message>
}

async function serve(interceptors: Interceptor[]): Promise<BenchServer> {
  const handler = connectNodeAdapter({
    interceptors,
    grpcWeb: false,
    connect: false,
    routes: (router) => {
      router.service(
        service as never,
        {
          unary: async (request: Message) => request,
          fail: async () => {
            throw new ConnectError('no such thing', Code.NotFound)
          },
          hold: () => new Promise(() => undefined),
          async *serverStream(request: Message) {
            for (let i = 0; i < MESSAGES; i++) yield request
          },
          async clientStream(requests: AsyncIterable<Message>) {
            for await (const _ of requests);
            return small
          },
          async *bidi(requests: AsyncIterable<Message>) {
            for await (const request of requests) yield request
          },
        } as never,
      )
    },
  })
  const server = conditions.tls
    ? http2.createSecureServer({ key, cert: certificate }, handler)
    : http2.createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return { port: address.port, close: () => server.close() }
}

function open(port: number, interceptors: Interceptor[]): BenchClient {
  const baseUrl = `${conditions.tls ? 'https' : 'http'}://127.0.0.1:${port}`
  const sessionManager = new Http2SessionManager(baseUrl, undefined, { ca: certificate })
  const transport = createGrpcTransport({ baseUrl, interceptors, sessionManager })
  const client = createClient(service as never, transport) as unknown as EchoClient
  return {
    unary: async (big) => void (await client.unary(big ? large : small)),
    fail: async () => {
      const failed = await client.fail(small).then(
        () => false,
        () => true,
      )
      if (!failed) throw new Error('fail did not fail')
    },
    async serverStream() {
      for await (const _ of client.serverStream(small));
    },
    async clientStream() {
      const requests = async function* () {
        for (let i = 0; i < MESSAGES; i++) yield small
      }
      await client.clientStream(requests())
    },
    async bidi() {
      let wake: () => void = () => undefined
      const requests = async function* () {
        for (let i = 0; i < MESSAGES; i++) {
          const echoed = new Promise<void>((resolve) => {
            wake = resolve
          })
          yield small
          await echoed
        }
      }
      for await (const _ of client.bidi(requests())) wake()
    },
    hold: () => {
      throw new Error('not measured with connect')
    },
    close: () => sessionManager.abort(),
  }
}

const passThrough: Interceptor = (next) => (request) => next(request)
const eight = Array.from({ length: 8 }, () => passThrough)

export const connectPassThrough8: Variant = {
  startServer: () => serve(eight),
  openClient: (port) => open(port, eight),
}
