import { credentials } from '@grpc/grpc-js'
import { type Channel, createChannel, interceptChannel } from '@grpc-stack/grpc-core'
import { AuthClientInterceptor, type TokenProvider } from './auth-client-interceptor.ts'
import { LoggingClientInterceptor } from './logging-client-interceptor.ts'
import { RetryClientInterceptor } from './retry-client-interceptor.ts'

/** Using client interceptors. Logging is outermost; authentication is innermost, so that a retry gets a fresh token. */
export function createInterceptedChannel(
  target: string,
  tokenProvider: TokenProvider,
  print?: (line: string) => void,
): Channel {
  const baseChannel = createChannel(target, credentials.createInsecure())
  return interceptChannel(
    baseChannel,
    new LoggingClientInterceptor(print),
    new RetryClientInterceptor(3, 10),
    new AuthClientInterceptor(tokenProvider),
  )
}
