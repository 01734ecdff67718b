import type { MethodInfo, Pattern } from '@grpc-stack/grpc-core'
import { cleanText } from './clean-text.ts'

/** The kinds of RPC as go-grpc-middleware and its dashboards call them. */
export const methodTypes: Readonly<Record<Pattern, string>> = Object.freeze({
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
  unknown: 'unknown',
})

/** What records say of a method: the same for each of its calls. */
export interface MethodFields {
  readonly component: 'client' | 'server'
  readonly service: string
  readonly method: string
  readonly type: string
}

const LONGEST_NAME = 256

/** Of one interceptor, per method. Paths nobody registered are minted by callers: those are worked out anew each time. */
export class MethodFieldsCache {
  readonly #client = new WeakMap<MethodInfo, MethodFields>()
  readonly #server = new WeakMap<MethodInfo, MethodFields>()

  get(side: 'client' | 'server', method: MethodInfo): MethodFields {
    const cache = side === 'server' ? this.#server : this.#client
    let fields = cache.get(method)
    if (fields === undefined) {
      fields = {
        component: side,
        service: cleanText(method.service, LONGEST_NAME),
        method: cleanText(method.name, LONGEST_NAME),
        type: methodTypes[method.pattern],
      }
      if (method.registered) cache.set(method, fields)
    }
    return fields
  }
}
