import { status as Code } from '@grpc/grpc-js'
import {
  type ClientInterceptorLike,
  createClient,
  type Handlers,
  interceptChannel,
  type UnaryUnaryClientInterceptor,
} from '../src/index.ts'
import { type Answer, type Ask, Greeter } from './greeter.ts'
import { type GreeterServer, startGreeter } from './greeter-server.ts'

/** A greeter that records the names it was asked for; it fails for `nobody` and never answers `wait`. */
export interface WatchedGreeter extends GreeterServer {
  readonly greeted: string[]
  /** Calls that have begun and that have ended on the server. */
  readonly counts: { open: number; closed: number }
  with(...interceptors: readonly ClientInterceptorLike[]): ReturnType<typeof createClient<typeof Greeter>>
}

export type InterceptGreet = UnaryUnaryClientInterceptor<Ask, Answer>['interceptUnaryUnary']

export async function startWatchedGreeter(): Promise<WatchedGreeter> {
  const greeted: string[] = []
  const counts = { open: 0, closed: 0 }
  const begin = (call: { once(event: 'cancelled', listener: () => void): unknown }): void => {
    counts.open++
    call.once('cancelled', () => counts.closed++)
  }
  const handlers: Handlers<typeof Greeter> = {
    greet: (call, callback) => {
      begin(call)
      greeted.push(call.request.name)
      if (call.request.name === 'nobody') callback({ code: Code.NOT_FOUND, details: 'no such person' })
      else if (call.request.name !== 'wait') callback(null, { text: `Hello ${call.request.name}` })
    },
    greetMany: async function* (call) {
      begin(call)
      for (let n = 0; n < (call.request.times ?? 0); n++) yield { text: `${n}` }
      if (call.request.name === 'wait') await new Promise(() => undefined)
    },
    greetAll: async (call) => {
      begin(call)
      const names: string[] = []
      for await (const { name } of call) names.push(name)
      return { text: names.join(' ') }
    },
    chat: async function* (call) {
      begin(call)
      for await (const { name } of call) yield { text: name }
    },
  }
  const greeter = await startGreeter([], handlers)
  return {
    ...greeter,
    greeted,
    counts,
    with: (...interceptors) => createClient(Greeter, interceptChannel(greeter.channel, ...interceptors)),
  }
}
