import type { Metadata, status } from '@grpc/grpc-js'
import type { Answer, Ask } from '../../test/greeter.ts'
import {
  abortHandler,
  type Channel,
  type ClientInterceptor,
  clientInterceptors,
  createServer,
  interceptChannel,
  type RpcMethodHandler,
  type ServerInterceptor,
  type ServicerContext,
  type Status,
  type StreamStreamClientInterceptor,
  type StreamUnaryClientInterceptor,
  streamUnaryRpcMethodHandler,
  type UnaryStreamClientInterceptor,
  type UnaryUnaryBehavior,
  type UnaryUnaryClientInterceptor,
  unaryStreamRpcMethodHandler,
  unaryUnaryRpcMethodHandler,
  wrapHandler,
} from '../index.ts'

declare const channel: Channel
declare const code: status
declare function takes<T>(value: T): void

// ── Messages keep their types through a continuation ─────────────────────────────────────────────────────────────

const unaryUnary: UnaryUnaryClientInterceptor<Ask, Answer> = {
  async interceptUnaryUnary(continuation, details, request) {
    takes<string>(request.name)
    const call = continuation(details, { name: request.name })
    takes<Promise<Metadata>>(call.headers)
    takes<Promise<Status>>(call.status)
    const answer = await call
    takes<string>(answer.text)
    // @ts-expect-error the response has no such member
    answer.name
    // @ts-expect-error not a request
    continuation(details, { title: 'x' })
    // @ts-expect-error no such detail
    continuation({ timeout: 5 }, request)
    // @ts-expect-error details are frozen
    details.method = '/other.Service/Method'
    return { text: answer.text }
  },
}

const wrongAnswer: UnaryUnaryClientInterceptor<Ask, Answer> = {
  // @ts-expect-error not a response
  interceptUnaryUnary: async () => ({ name: 'x' }),
}

const unaryStream: UnaryStreamClientInterceptor<Ask, Answer> = {
  interceptUnaryStream(continuation, details, request) {
    const call = continuation(details, request)
    // @ts-expect-error a stream is iterated, not awaited
    call.then
    async function* loud(): AsyncGenerator<Answer> {
      for await (const { text } of call) yield { text: text.toUpperCase() }
    }
    return loud()
  },
}

const streamUnary: StreamUnaryClientInterceptor<Ask, Answer> = {
  interceptStreamUnary: (continuation, details, requests) => {
    takes<AsyncIterable<Ask>>(requests)
    // @ts-expect-error not a stream of requests
    continuation(details, { name: 'x' })
    return continuation(details, [{ name: 'a' }])
  },
}

const streamStream: StreamStreamClientInterceptor<Ask, Answer> = {
  interceptStreamStream: async (continuation, details, requests) => continuation(details, requests),
}

// ── Interceptors of certain messages fit into lists of all kinds ─────────────────────────────────────────────────

interceptChannel(channel, unaryUnary, unaryStream, streamUnary, streamStream, { ...unaryUnary, ...streamStream })
clientInterceptors((_call, next) => next(), unaryUnary)
interceptChannel(channel, {
  interceptUnaryUnary: (continuation, details, request) => {
    takes<string>(details.method)
    return continuation(details, request)
  },
})
// @ts-expect-error a contract for servers
interceptChannel(channel, { interceptService: () => null })
// @ts-expect-error a misspelt method
interceptChannel(channel, { interceptUnary: () => null })
// @ts-expect-error a contract for clients
createServer({ interceptors: [unaryUnary] })

class Both implements ClientInterceptor, ServerInterceptor {
  interceptUnaryUnary: NonNullable<ClientInterceptor['interceptUnaryUnary']> = (continuation, details, request) =>
    continuation(details, request)
  interceptService: ServerInterceptor['interceptService'] = (continuation, details) => continuation(details)
}
interceptChannel(channel, new Both())
createServer({ interceptors: [new Both(), (_call, next) => next()] })

// ── Handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────

const service: ServerInterceptor = {
  async interceptService(continuation, details) {
    takes<Metadata>(details.invocationMetadata)
    takes<AbortSignal>(details.signal)
    // @ts-expect-error details are frozen
    details.method = '/other.Service/Method'
    // @ts-expect-error the peer cannot be changed
    details.with({ peer: 'me' })
    const handler = await continuation(details)
    takes<RpcMethodHandler | null>(handler)
    takes<RpcMethodHandler | null>(wrapHandler(handler, (behavior) => (input, context) => behavior(input, context)))
    // @ts-expect-error null stays null
    takes<RpcMethodHandler>(wrapHandler(handler, (behavior) => behavior))
    takes<RpcMethodHandler>(wrapHandler(abortHandler(code), (behavior) => behavior))
    return wrapHandler(
      continuation(details),
      (behavior: UnaryUnaryBehavior<Ask, Answer>): UnaryUnaryBehavior<Ask, Answer> =>
        async (request, context) => {
          takes<string>(request.name)
          takes<ServicerContext>(context)
          const answer = await behavior(request, context)
          takes<string>(answer.text)
          return answer
        },
    )
  },
}

const notAHandler: ServerInterceptor = {
  // @ts-expect-error not a handler
  interceptService: () => 5,
}

unaryUnaryRpcMethodHandler((request: Ask, context): Answer => {
  takes<never>(context.abort(code, 'why'))
  return { text: request.name }
})
unaryStreamRpcMethodHandler(async function* (request: Ask): AsyncGenerator<Answer> {
  yield { text: request.name }
})
// @ts-expect-error not a stream of responses
unaryStreamRpcMethodHandler((request: Ask) => request.name.length)
streamUnaryRpcMethodHandler(async (requests: AsyncIterable<Ask>): Promise<Answer> => {
  for await (const { name } of requests) return { text: name }
  return { text: '' }
})
// @ts-expect-error requests come as a stream
streamUnaryRpcMethodHandler((request: Ask) => ({ text: request.name }))

takes<unknown>([wrongAnswer, service, notAHandler])
