import { createServer, type Handlers } from '@grpc-stack/grpc-core'
import { MyService } from '../my-service.ts'
import { AuthenticationServerInterceptor, type TokenValidator } from './authentication-server-interceptor.ts'
import { requestIdVar, userIdVar } from './context-variables.ts'
import { LoggingServerInterceptor } from './logging-server-interceptor.ts'
import { RateLimitingServerInterceptor } from './rate-limiting-server-interceptor.ts'
import { RequestIdServerInterceptor } from './request-id-server-interceptor.ts'

/** In the handlers, access context variables. */
const handlers: Handlers<typeof MyService> = {
  myMethod: async () => {
    const requestId = requestIdVar.get('unknown')
    const userId = userIdVar.get('anonymous')
    return { message: `Hello ${userId} (${requestId})` }
  },
  myStream: async function* (call) {
    for (let i = 0; i < (call.request.count ?? 0); i++) yield { message: `${i} for ${userIdVar.get('anonymous')}` }
  },
  myUpload: async (call) => {
    let names = ''
    for await (const { name } of call) names += name
    return { message: `${names} from ${userIdVar.get('anonymous')}` }
  },
  myChat: async function* (call) {
    for await (const { name } of call) yield { message: `${name}, ${userIdVar.get('anonymous')}` }
  },
}

/** Using server interceptors. */
export function createServerWithInterceptors(
  tokenValidator: TokenValidator,
  print?: (line: string) => void,
): ReturnType<typeof createServer> {
  const server = createServer({
    interceptors: [
      new RequestIdServerInterceptor(print),
      new AuthenticationServerInterceptor(tokenValidator),
      new RateLimitingServerInterceptor(100),
      new LoggingServerInterceptor(print),
    ],
  })
  server.addService(MyService, handlers)
  return server
}
