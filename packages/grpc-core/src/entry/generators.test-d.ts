import type { ServiceDefinition } from '@grpc/grpc-js'
import * as grpcTools from '../../test/generated/grpc-tools/greeter_grpc_pb.js'
import { HelloReply, HelloRequest } from '../../test/generated/grpc-tools/greeter_pb.js'
import type { ProtoGrpcType } from '../../test/generated/proto-loader/greeter.ts'
import * as protobufTs from '../../test/generated/protobuf-ts/greeter.grpc-server.ts'
import * as tsProto from '../../test/generated/ts-proto/greeter.ts'
import type { Channel } from './channel.ts'
import { createClient } from './client.ts'
import { createServer } from './server.ts'

// What the page "Generated code" says of each generator. The code is theirs: scripts/generated-code.mjs.

declare const channel: Channel
/** As `loadPackageDefinition` gives it, with the types of proto-loader-gen-types and without. */
declare const loaded: ProtoGrpcType
declare const dynamicService: ServiceDefinition
const server = createServer()

export async function tsProtoTypes(): Promise<void> {
  const client = createClient(tsProto.GreeterService, channel)
  const reply: string = (await client.sayHello({ name: 'you', id: 1 })).message
  for await (const { message } of client.watch({ name: reply, id: 1 })) message.trim()
  const names: string[] = (await client.collect([{ name: 'you', id: 1 }])).names
  for await (const { message } of client.chat([{ name: String(names), id: 1 }])) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you', id: 1 })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  // @ts-expect-error: one request where a stream belongs
  client.collect({ name: 'you', id: 1 })
  server.addService(tsProto.GreeterService, {
    sayHello: async (call) => ({ message: call.request.name.trim(), names: [] }),
    watch: async function* (call) {
      yield { message: call.request.name.trim(), names: [] }
    },
    collect: async (call) => {
      const names: string[] = []
      for await (const { name } of call) names.push(name)
      return { message: '', names }
    },
    chat: async function* (call) {
      for await (const { name } of call) yield { message: name.trim(), names: [] }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(tsProto.GreeterService, { sayHello: async () => ({ mesage: '', names: [] }) })
  // @ts-expect-error: there is no such method
  server.addService(tsProto.GreeterService, { sayHelo: async () => ({ message: '', names: [] }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(tsProto.GreeterService, { watch: async () => ({ message: '', names: [] }) })
}

export async function grpcToolsTypes(): Promise<void> {
  const client = createClient(grpcTools.GreeterService, channel)
  const you = new HelloRequest().setName('you')
  const reply: string = (await client.sayHello(you)).getMessage()
  for await (const message of client.watch(you.setName(reply))) message.getMessage().trim()
  const names: string[] = (await client.collect([you])).getNamesList()
  for await (const message of client.chat([you.setName(String(names))])) message.getMessage().trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.(you)
  // @ts-expect-error: no message of the generator's
  client.sayHello({ name: 'you' })
  // @ts-expect-error: one request where a stream belongs
  client.collect(you)
  server.addService(grpcTools.GreeterService, {
    sayHello: async (call) => new HelloReply().setMessage(call.request.getName().trim()),
    watch: async function* (call) {
      yield new HelloReply().setMessage(call.request.getName().trim())
    },
    collect: async (call) => {
      const reply = new HelloReply()
      for await (const request of call) reply.addNames(request.getName())
      return reply
    },
    chat: async function* (call) {
      for await (const request of call) yield new HelloReply().setMessage(request.getName())
    },
  })
  // @ts-expect-error: no message of the generator's
  server.addService(grpcTools.GreeterService, { sayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(grpcTools.GreeterService, { sayHelo: async () => new HelloReply() })
  // @ts-expect-error: one value where a stream belongs
  server.addService(grpcTools.GreeterService, { watch: async () => new HelloReply() })
}

export async function protobufTsTypes(): Promise<void> {
  const client = createClient(protobufTs.greeterDefinition, channel)
  const reply: string = (await client.sayHello({ name: 'you', id: 1n })).message
  for await (const { message } of client.watch({ name: reply, id: 1n })) message.trim()
  const names: string[] = (await client.collect([{ name: 'you', id: 1n }])).names
  for await (const { message } of client.chat([{ name: String(names), id: 1n }])) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you', id: 1n })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  // @ts-expect-error: one request where a stream belongs
  client.collect({ name: 'you', id: 1n })
  server.addService(protobufTs.greeterDefinition, {
    sayHello: async (call) => ({ message: call.request.name.trim(), names: [] }),
    watch: async function* (call) {
      yield { message: call.request.name.trim(), names: [] }
    },
    collect: async (call) => {
      const names: string[] = []
      for await (const { name } of call) names.push(name)
      return { message: '', names }
    },
    chat: async function* (call) {
      for await (const { name } of call) yield { message: name.trim(), names: [] }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(protobufTs.greeterDefinition, { sayHello: async () => ({ mesage: '', names: [] }) })
  // @ts-expect-error: there is no such method
  server.addService(protobufTs.greeterDefinition, { sayHelo: async () => ({ message: '', names: [] }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(protobufTs.greeterDefinition, { watch: async () => ({ message: '', names: [] }) })
}

export async function protoLoaderTypes(): Promise<void> {
  const client = createClient(loaded.hello.Greeter.service, channel)
  const reply: string = (await client.SayHello({ name: 'you' })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  server.addService(loaded.hello.Greeter.service, {
    SayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(loaded.hello.Greeter.service, { SayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(loaded.hello.Greeter.service, { SayHelo: async () => ({ message: '' }) })
}

/** Types that name no method check no name. */
export async function dynamicTypes(): Promise<void> {
  await createClient(dynamicService, channel).anything?.({ name: 'you' })
  server.addService(dynamicService, { anything: () => undefined })
}
