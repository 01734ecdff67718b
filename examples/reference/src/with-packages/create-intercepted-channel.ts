import { credentials } from '@grpc/grpc-js'
import { type Channel, createChannel, interceptChannel } from '@grpc-stack/grpc-core'
import { clientAuth } from '@grpc-stack/interceptor-auth'
import { type Logger, logging } from '@grpc-stack/interceptor-logging'
import { retry } from '@grpc-stack/interceptor-retry'

/** Using client interceptors: logged, retried if needed, authenticated with a fresh token for each attempt. */
export function createInterceptedChannel(target: string, token: () => string, logger: Logger): Channel {
  return interceptChannel(
    createChannel(target, credentials.createInsecure()),
    logging({ logger }),
    retry({ maxAttempts: 4, initialBackoffMs: 10 }),
    // On a real network: createSsl() above, and no allowInsecure.
    clientAuth({ token, allowInsecure: true }),
  )
}
