import { randomUUID } from 'node:crypto'
import { ContextVar, type Interceptor } from '@grpc-stack/grpc-core'

export const requestIdVar: ContextVar<string> = new ContextVar<string>('requestId')

/** One id for everything that is done for one request: made where there is none yet, carried onward from then on. */
export function requestId(): Interceptor {
  return function requestId(call, next) {
    const [given] = call.side === 'server' ? call.metadata.get('x-request-id') : [call.context.get(requestIdVar)]
    const id = typeof given === 'string' && given !== '' ? given : randomUUID()
    call.context.set(requestIdVar, id)
    call.metadata.set('x-request-id', id)
    return next()
  }
}
