import {
  type Call,
  type Channel,
  type ClientCall,
  chain,
  clientInterceptors,
  createServer,
  type Interceptor,
  interceptChannel,
  type ServerCall,
  select,
  serverInterceptors,
  stacks,
} from '../index.ts'

declare const channel: Channel
declare const either: Interceptor
declare const client: Interceptor<ClientCall>
declare const server: Interceptor<ServerCall>

// An interceptor written in place knows its call.
clientInterceptors((call, next) => {
  call.cancel()
  return next()
})
interceptChannel(channel, async (call, next) => {
  call.makeReplayable({ maxBytes: 1, maxMessages: 1 })
  return await next()
})
serverInterceptors((call, next) => {
  call.trailers.set('a', 'b')
  return next()
})
createServer({
  interceptors: [
    (call, next) => {
      call.responseMetadata.set('a', 'b')
      return next()
    },
  ],
})
const both: Interceptor = chain(
  (call, next) => {
    call.onRequest(() => undefined)
    return next()
  },
  select('pkg.*', (call, next) => {
    call.metadata.set('a', 'b')
    return next()
  }),
)

// What is made for either side fits both; what is made for one fits that one, alone or composed.
clientInterceptors(either, client, both, chain(either, client), select('*', client), stacks({ '*': [client, either] }))
serverInterceptors(either, server, both, chain(either, server), select('*', server), stacks({ '*': server }))

// @ts-expect-error a server's interceptor on a client
clientInterceptors(server)
// @ts-expect-error a client's interceptor on a server
serverInterceptors(client)
// @ts-expect-error and no composition hides it
clientInterceptors(chain(either, server))
// @ts-expect-error and no composition hides it
serverInterceptors(select('*', client))
// @ts-expect-error and no composition hides it
serverInterceptors(stacks({ '*': [client] }))

declare const list: readonly Interceptor<Call>[]
chain(...list)
