import type { EventEmitter } from 'node:events'
import type { ServiceError } from '@grpc/grpc-js'
import type { Handlers, RpcError, ServiceClient } from '../src/index.ts'
import type { Greeter } from './greeter.ts'
import { failureOf, streamFailureOf } from './greeter-server.ts'

type GreeterHandlers = Handlers<typeof Greeter>
type Failing = (fail: () => never, error: () => unknown) => GreeterHandlers

function emit(call: EventEmitter, error: unknown): void {
  call.emit('error', error)
}

/** The ways in which a handler ends its RPC with an error, on all four kinds of RPC. */
const ways: Record<string, Failing> = {
  throw: (fail) => ({ greet: () => fail(), greetMany: () => fail(), greetAll: () => fail(), chat: () => fail() }),
  reject: (fail) => ({
    greet: async () => fail(),
    greetMany: async () => fail(),
    greetAll: async () => fail(),
    chat: async () => fail(),
  }),
  'callback, or an error event': (_fail, error) => ({
    greet: (_call, callback) => callback(error() as ServiceError),
    greetMany: (call) => emit(call, error()),
    greetAll: (_call, callback) => callback(error() as ServiceError),
    chat: (call) => emit(call, error()),
  }),
  'callback, or an error event, later': (_fail, error) => ({
    greet: (_call, callback) => void setImmediate(() => callback(error() as ServiceError)),
    greetMany: (call) => void setImmediate(() => emit(call, error())),
    greetAll: (_call, callback) => void setImmediate(() => callback(error() as ServiceError)),
    chat: (call) => void setImmediate(() => emit(call, error())),
  }),
  'generator, or throw in an async callback handler': (fail) => ({
    greet: async (_call, _callback) => fail(),
    greetMany: async function* () {
      yield await fail()
    },
    greetAll: async (_call, _callback) => fail(),
    chat: function* () {
      yield fail()
    },
  }),
}

/** Handlers that end with an error, in every way. What `make` returns is new for each RPC. */
export function failingHandlers(make: () => unknown): [way: string, handlers: GreeterHandlers][] {
  const fail = (): never => {
    throw make()
  }
  return Object.entries(ways).map(([way, handlers]) => [way, handlers(fail, make)])
}

/** The errors of one call of each kind. */
export async function failuresOf(client: ServiceClient<typeof Greeter>): Promise<RpcError[]> {
  return [
    await failureOf(client.greet({ name: 'x' })),
    await streamFailureOf(client.greetMany({ name: 'x' })),
    await failureOf(client.greetAll([{ name: 'x' }])),
    await streamFailureOf(client.chat([{ name: 'x' }])),
  ]
}
