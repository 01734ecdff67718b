import type { MethodInfo, Pattern } from '@grpc-stack/grpc-core'
import { cleanText } from './clean-text.ts'
import type { Containment } from './containment.ts'
import type { FailurePlace, LoggingSettings, PayloadSettings } from './options.ts'

/** The kinds of RPC as go-grpc-middleware and its dashboards call them. */
export const methodTypes: Readonly<Record<Pattern, string>> = Object.freeze({
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
  unknown: 'unknown',
})

/** How the calls of one method are logged: all that is the same for each of them. */
export interface MethodPlan {
  readonly settings: LoggingSettings
  readonly contained: Containment<FailurePlace>
  readonly component: 'client' | 'server'
  readonly service: string
  readonly method: string
  readonly type: string
  /** Set if messages of this method are logged. */
  readonly payload: PayloadSettings | undefined
  /** Whether requests and responses have to be looked at. */
  readonly watchesRequests: boolean
  readonly watchesResponses: boolean
}

const LONGEST_NAME = 256

/** The plans of one interceptor. Paths nobody registered are minted by callers: theirs are made anew each time. */
export class MethodPlans {
  readonly #settings: LoggingSettings
  readonly #contained: Containment<FailurePlace>
  readonly #client = new WeakMap<MethodInfo, MethodPlan>()
  readonly #server = new WeakMap<MethodInfo, MethodPlan>()

  constructor(settings: LoggingSettings, contained: Containment<FailurePlace>) {
    this.#settings = settings
    this.#contained = contained
  }

  get(side: 'client' | 'server', method: MethodInfo): MethodPlan {
    const plans = side === 'server' ? this.#server : this.#client
    let plan = plans.get(method)
    if (plan === undefined) {
      plan = this.#make(side, method)
      if (method.registered) plans.set(method, plan)
    }
    return plan
  }

  #make(side: 'client' | 'server', method: MethodInfo): MethodPlan {
    const settings = this.#settings
    const { payload, sizeOf } = settings
    const covered = payload && this.#contained.run('payload', () => payload.covers(method)) ? payload : undefined
    return {
      settings,
      contained: this.#contained,
      component: side,
      service: cleanText(method.service, LONGEST_NAME),
      method: cleanText(method.name, LONGEST_NAME),
      type: methodTypes[method.pattern],
      payload: covered,
      watchesRequests: method.requestStream || sizeOf !== undefined || covered?.requests === true,
      watchesResponses: method.responseStream || sizeOf !== undefined || covered?.responses === true,
    }
  }
}
