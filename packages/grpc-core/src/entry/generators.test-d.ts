import * as grpcTools from '../../test/generated/grpc-tools.ts'
import * as protoLoader from '../../test/generated/proto-loader.ts'
import * as protobufTs from '../../test/generated/protobuf-ts.ts'
import * as tsProto from '../../test/generated/ts-proto.ts'
import type { Channel } from './channel.ts'
import { createClient } from './client.ts'
import { createServer } from './server.ts'

declare const channel: Channel
const server = createServer()

export async function tsProtoTypes(): Promise<void> {
  const client = createClient(tsProto.GreeterService, channel)
  const reply: string = (await client.sayHello({ name: 'you' })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  server.addService(tsProto.GreeterService, {
    sayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(tsProto.GreeterService, { sayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(tsProto.GreeterService, { sayHelo: async () => ({ message: '' }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(tsProto.GreeterService, { watch: async () => ({ message: '' }) })
}

export async function grpcToolsTypes(): Promise<void> {
  const client = createClient(grpcTools.GreeterService, channel)
  const reply: string = (await client.sayHello({ name: 'you' })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  server.addService(grpcTools.GreeterService, {
    sayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(grpcTools.GreeterService, { sayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(grpcTools.GreeterService, { sayHelo: async () => ({ message: '' }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(grpcTools.GreeterService, { watch: async () => ({ message: '' }) })
}

export async function protobufTsTypes(): Promise<void> {
  const client = createClient(protobufTs.greeterDefinition, channel)
  const reply: string = (await client.sayHello({ name: 'you' })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  server.addService(protobufTs.greeterDefinition, {
    sayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(protobufTs.greeterDefinition, { sayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(protobufTs.greeterDefinition, { sayHelo: async () => ({ message: '' }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(protobufTs.greeterDefinition, { watch: async () => ({ message: '' }) })
}

export async function protoLoaderTypes(): Promise<void> {
  const client = createClient(protoLoader.GreeterService, channel)
  const reply: string = (await client.SayHello({ name: 'you' })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  server.addService(protoLoader.GreeterService, {
    SayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(protoLoader.GreeterService, { SayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(protoLoader.GreeterService, { SayHelo: async () => ({ message: '' }) })
}

/** Types that name no method check no name. */
export async function dynamicTypes(): Promise<void> {
  await createClient(protoLoader.dynamicService, channel).anything?.({ name: 'you' })
  server.addService(protoLoader.dynamicService, { anything: () => undefined })
}
