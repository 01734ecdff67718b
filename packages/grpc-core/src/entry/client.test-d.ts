import { Greeter } from '../../test/greeter.ts'
import type { Channel } from './channel.ts'
import { createClient } from './client.ts'
import type { Handlers } from './handler-types.ts'
import { createServer } from './server.ts'

declare const channel: Channel
const client = createClient(Greeter, channel)

export async function typesFlowIntoTheClient(): Promise<string[]> {
  const answer = await client.greet({ name: 'you' })
  const texts: string[] = [answer.text]
  for await (const { text } of client.greetMany({ name: 'you', times: 2 })) texts.push(text)
  texts.push((await client.greetAll([{ name: 'a' }])).text)
  for await (const { text } of client.chat([{ name: 'a' }])) texts.push(text)
  // @ts-expect-error: the request's type comes from the definition
  await client.greet({ nome: 'you' })
  // @ts-expect-error: a single response is not iterable
  for await (const _ of client.greet({ name: 'you' })) texts.push('')
  // @ts-expect-error: a request stream takes an iterable
  await client.greetAll({ name: 'a' })
  // @ts-expect-error: there is no such member of the response
  texts.push(answer.test)
  // @ts-expect-error: there is no such option
  await client.greet({ name: 'you' }, { timeout: 1 })
  return texts
}

const server = createServer()
server.addService(Greeter, {
  greet: async (call) => ({ text: call.request.name }),
  greetMany: async function* (call) {
    yield { text: call.request.name }
  },
  greetAll: (call, callback) => {
    call.on('data', () => undefined)
    callback(null, { text: '' })
  },
})
// An untyped implementation still fits, as in grpc-js; a typed one is held to the definition.
const handlers: Handlers<typeof Greeter> = {
  // @ts-expect-error: the response's type comes from the definition
  greet: async (call) => ({ txt: call.request.name }),
}
server.addService(Greeter, handlers)
