import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { describe, it } from 'vitest'
import type { ClientInterceptor } from './client-interceptor.ts'
import { wrapHandler } from './rpc-method-handler.ts'
import type { ServerInterceptor } from './server-interceptor.ts'

async function* each<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) yield message
}

const passing: ClientInterceptor & ServerInterceptor = {
  interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
  interceptService: (continuation, details) => continuation(details),
}

const rebuilding: ClientInterceptor & ServerInterceptor = {
  interceptUnaryUnary: async (continuation, details, request) => await continuation(details, request),
  interceptUnaryStream: async (continuation, details, request) => each(continuation(details, request)),
  interceptStreamUnary: async (continuation, details, requests) => await continuation(details, each(requests)),
  interceptStreamStream: async (continuation, details, requests) => each(continuation(details, each(requests))),
  interceptService: async (continuation, details) =>
    wrapHandler(
      await continuation(details),
      (behavior, { requestStream, responseStream }) =>
        async (input, context) => {
          const given = requestStream ? each(input as AsyncIterable<unknown>) : input
          const answer = await behavior(given, context)
          return responseStream ? each(answer as AsyncIterable<unknown>) : answer
        },
    ),
}

/**
 * An interceptor that answers with an iterable of its own decides how it ends, when it is read to its end. So a failure follows
 * the messages before it, where grpc-js drops messages that were not asked for.
 */
const withoutUnread: Parameters<typeof interceptorSuite>[2] = {
  describe,
  it: (name, test) => {
    if (!name.startsWith('responses not yet read when the call fails')) it(name, test)
  },
}

interceptorSuite('an interceptor object that passes everything on', () => ({ client: passing, server: passing }))

interceptorSuite(
  'an interceptor object that takes everything apart and puts it together again',
  () => ({ client: rebuilding, server: rebuilding, replayable: true }),
  withoutUnread,
)

interceptorSuite(
  'interceptor objects around and within plain interceptors',
  () => ({
    client: [
      (_call, next) => next(),
      rebuilding,
      async (_call, next) => await next(),
      passing,
      (_call, next) => next(),
    ],
    server: [
      (_call, next) => next(),
      rebuilding,
      async (_call, next) => await next(),
      passing,
      (_call, next) => next(),
    ],
    replayable: true,
  }),
  withoutUnread,
)
