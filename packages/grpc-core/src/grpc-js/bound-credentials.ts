import { AsyncResource } from 'node:async_hooks'
import { CallCredentials, type InterceptorOptions, type NextCall } from '@grpc/grpc-js'

/**
 * Makes the grpc-js call under a stack. grpc-js asks call credentials for metadata once there is a connection, in the context
 * of the call that opened it (load-balancing-call.ts, 1.14): a token read from that context would be another caller's. Here
 * they are asked in the context of their own call.
 */
export function openBelow(nextCall: NextCall, options: InterceptorOptions): ReturnType<NextCall> {
  const { credentials } = options
  return nextCall(credentials === undefined ? options : { ...options, credentials: inThisContext(credentials) })
}

function inThisContext(credentials: CallCredentials): CallCredentials {
  const context = new AsyncResource('GRPC_STACK_CREDENTIALS', { requireManualDestroy: true })
  return CallCredentials.createFromMetadataGenerator((options, done) => {
    context
      .runInAsyncScope(() => credentials.generateMetadata(options))
      .then(
        (metadata) => done(null, metadata),
        (error: Error) => done(error),
      )
  })
}
