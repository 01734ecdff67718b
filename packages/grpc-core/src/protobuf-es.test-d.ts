import { Greeter } from '../test/generated/protobuf-es/greeter_pb.ts'
import type { Channel } from './entry/channel.ts'
import { createClient } from './entry/client.ts'
import { createServer } from './entry/server.ts'
import { serviceDefinition } from './protobuf-es.ts'

declare const channel: Channel
const server = createServer()
const definition = serviceDefinition(Greeter)

export async function clients(): Promise<void> {
  const client = createClient(definition, channel)
  const reply: string = (await client.sayHello({ name: 'you', id: 1n })).message
  for await (const { message } of client.watch({ name: reply })) message.trim()
  const names: string[] = (await client.collect([{ name: 'you' }])).names
  for await (const { message } of client.chat([{ name: String(names) }])) message.trim()
  // @ts-expect-error: there is no such method
  client.sayHelo?.({ name: 'you' })
  // @ts-expect-error: there is no such field of the request
  client.sayHello({ nome: 'you' })
  // @ts-expect-error: a uint64 is a bigint
  client.sayHello({ id: 1 })
  // @ts-expect-error: one request where a stream belongs
  client.collect({ name: 'you' })
}

export function servers(): void {
  server.addService(definition, {
    sayHello: async (call) => ({ message: call.request.name.trim() }),
    watch: async function* (call) {
      yield { message: call.request.name.trim() }
    },
    collect: async (requests) => {
      for await (const { name } of requests) name.trim()
      return { names: [] }
    },
    chat: async function* (requests) {
      for await (const { name } of requests) yield { message: name.trim() }
    },
  })
  // @ts-expect-error: there is no such field of the response
  server.addService(definition, { sayHello: async () => ({ mesage: '' }) })
  // @ts-expect-error: there is no such method
  server.addService(definition, { sayHelo: async () => ({ message: '' }) })
  // @ts-expect-error: one value where a stream belongs
  server.addService(definition, { watch: async () => ({ message: '' }) })
}
