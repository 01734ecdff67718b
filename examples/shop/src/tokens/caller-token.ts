import { type ClientCall, ContextVar, type Interceptor } from '@grpc-stack/grpc-core'
import { clientAuth } from '@grpc-stack/interceptor-auth'

const callerTokenVar = new ContextVar<string>('callerToken')

/**
 * Keeps the token a call came with, so that calls made while handling it can be made in the same name. Stands inside
 * `serverAuth`, which has verified it.
 */
export function keepCallerToken(): Interceptor {
  return function keepCallerToken(call, next) {
    const [authorization] = call.metadata.get('authorization')
    callerTokenVar.set(String(authorization).replace(/^Bearer /i, ''))
    return next()
  }
}

/** Calls other services of the shop in the name of the caller of this one. */
export function asCaller(): Interceptor<ClientCall> {
  // The services talk over loopback; anywhere else the connection would have to be encrypted.
  return clientAuth({ token: () => callerTokenVar.get(), allowInsecure: true })
}
