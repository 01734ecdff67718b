import { status } from '@grpc/grpc-js'
import {
  abortHandler,
  type HandlerCallDetails,
  type RpcMethodHandler,
  type ServerInterceptor,
  type ServiceContinuation,
} from '@grpc-stack/grpc-core'
import { userIdVar } from './context-variables.ts'

type Answer = RpcMethodHandler | null | Promise<RpcMethodHandler | null>

/** Implements rate limiting per user: each may spend a minute's worth at once, and regains it evenly. */
export class RateLimitingServerInterceptor implements ServerInterceptor {
  readonly #maxRequests: number
  readonly #now: () => number
  /** By user, the time at which the whole allowance is back. */
  readonly #fullAt = new Map<string, number>()
  readonly #refuse = abortHandler(status.RESOURCE_EXHAUSTED, 'Rate limit exceeded')

  constructor(maxRequestsPerMinute = 60, now: () => number = () => performance.now()) {
    this.#maxRequests = maxRequestsPerMinute
    this.#now = now
  }

  interceptService(continuation: ServiceContinuation, details: HandlerCallDetails): Answer {
    const user = userIdVar.get('anonymous')
    const now = this.#now()
    const fullAt = Math.max(now, this.#fullAt.get(user) ?? 0) + 60_000 / this.#maxRequests
    if (fullAt - now > 60_000) return this.#refuse
    this.#fullAt.delete(user)
    this.#fullAt.set(user, fullAt)
    // The map is in the order of last use; a user whose bucket is full again can be forgotten.
    const [[oldest, oldestFullAt] = ['', Number.POSITIVE_INFINITY]] = this.#fullAt
    if (oldestFullAt <= now) this.#fullAt.delete(oldest)
    return continuation(details)
  }
}
