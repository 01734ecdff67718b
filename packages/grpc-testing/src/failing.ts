import { status as Code } from '@grpc/grpc-js'
import type { Interceptor, Status } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'

/** What `failing` returns: an interceptor that counts. */
export interface Failing extends Interceptor {
  /** RPCs that came by. */
  readonly calls: number
  /** RPCs that were failed. */
  readonly failed: number
}

/**
 * A server interceptor that fails the first `times` RPCs with this status and lets all later ones through. Also works
 * on a client, where it stands for a server that is not there.
 *
 *     const server = await startTestServer({ interceptors: [failing(2, Code.UNAVAILABLE)] })
 *
 * @param times how many RPCs fail; `Infinity` for all
 * @param status a code, or a status with details and trailers; default: UNAVAILABLE
 */
export function failing(times: number, status: Code | Status = Code.UNAVAILABLE): Failing {
  if (typeof times !== 'number' || !(times >= 0))
    throw new TypeError(`failing: times must be a number ≥ 0, got ${times}`)
  const given: Status = typeof status === 'number' ? { code: status, details: 'failing on purpose' } : status
  let calls = 0
  let failed = 0
  const interceptor: Interceptor = (_call, next) => {
    calls++
    if (failed >= times) return next()
    failed++
    // Each RPC has its own trailers, because the interceptors and the application that receive them may change them.
    return given.metadata ? { ...given, metadata: given.metadata.clone() } : given
  }
  return Object.defineProperties(named('failing', interceptor), {
    calls: { get: () => calls },
    failed: { get: () => failed },
  }) as Failing
}
