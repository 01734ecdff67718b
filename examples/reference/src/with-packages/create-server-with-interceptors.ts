import { createServer, type Handlers } from '@grpc-stack/grpc-core'
import { principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { type Logger, logging, requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { byPrincipal, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { MyService } from '../my-service.ts'

/** In the handlers, access context variables. */
const handlers: Handlers<typeof MyService> = {
  myMethod: async () => ({ message: `Hello ${principalVar.get().subject} (${requestIdVar.get('unknown')})` }),
  myStream: async function* (call) {
    for (let i = 0; i < (call.request.count ?? 0); i++) yield { message: `${i} for ${principalVar.get().subject}` }
  },
  myUpload: async (call) => {
    let names = ''
    for await (const { name } of call) names += name
    return { message: `${names} from ${principalVar.get().subject}` }
  },
  myChat: async function* (call) {
    for await (const { name } of call) yield { message: `${name}, ${principalVar.get().subject}` }
  },
}

/** Using server interceptors. Logging is outside of whatever may refuse, so that refusals are logged too. */
export function createServerWithInterceptors(
  verify: (token: string) => { subject: string } | null,
  logger: Logger,
): ReturnType<typeof createServer> {
  const server = createServer({
    interceptors: [
      requestId(),
      logging({ logger }),
      serverAuth({ verify }),
      rateLimit({ rate: 100, perMs: 60_000, key: byPrincipal(principalVar) }),
    ],
  })
  server.addService(MyService, handlers)
  return server
}
