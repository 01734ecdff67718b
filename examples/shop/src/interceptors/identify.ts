import { status as Code } from '@grpc/grpc-js'
import { ContextVar, type Interceptor } from '@grpc-stack/grpc-core'

export interface Principal {
  readonly subject: string
  readonly role: string | undefined
}

export const principalVar: ContextVar<Principal> = new ContextVar<Principal>('principal')

/** Who calls, by the `authorization` metadata `subject:role`. Refuses those who do not say, or lack the role. */
export function identify(role?: string): Interceptor {
  return function identify(call, next) {
    const [given] = call.metadata.get('authorization')
    if (typeof given !== 'string' || given === '') {
      return { code: Code.UNAUTHENTICATED, details: 'Say who you are' }
    }
    const [subject = '', has] = given.split(':')
    if (role !== undefined && has !== role) return { code: Code.PERMISSION_DENIED, details: `Takes the role ${role}` }
    call.context.set(principalVar, { subject, role: has })
    return next()
  }
}

/** Calls on behalf of whoever this server is being called by. */
export function onBehalf(): Interceptor {
  return function onBehalf(call, next) {
    const principal = call.context.get(principalVar)
    if (principal) call.metadata.set('authorization', `${principal.subject}:${principal.role ?? ''}`)
    return next()
  }
}
