import type { Call, Status } from '@grpc-stack/grpc-core'
import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { AdaptiveLimit } from './concurrency-policy.ts'
import { evidenceOf, hasReachedDeadline } from './load-evidence.ts'

/**
 * Watches a call that begins now, for an adaptive limit; undefined where it cannot say anything. Call what it returns with the
 * status.
 *
 * On a server the time runs from the request to the response. What is before and after is the caller's: one that sends its
 * request late or does not read the response would look like a slow server.
 */
export function observeLoad(
  adaptive: AdaptiveLimit,
  clock: MonotonicClock,
  call: Call,
  inFlight: number,
): ((status: Status) => void) | undefined {
  const { side, method } = call
  if (method.pattern !== 'unary') return undefined
  let startedMs = side === 'client' ? clock.now() : undefined
  let answeredMs: number | undefined
  if (side === 'server') {
    call.onRequest(() => {
      startedMs ??= clock.now()
    })
  }
  call.onResponse(() => {
    answeredMs ??= clock.now()
  })
  return ({ code, origin }) => {
    const answered = answeredMs !== undefined
    const atDeadline = !answered && hasReachedDeadline(call)
    const evidence = evidenceOf({ side, pattern: method.pattern, code, origin, atDeadline })
    if (evidence === undefined || startedMs === undefined) return
    const endedMs = answeredMs ?? clock.now()
    const [dropped, unfinished] = [evidence === 'refused', evidence === 'unfinished']
    adaptive.onSample({ rttMs: endedMs - startedMs, inFlight, dropped, unfinished, startedMs, endedMs })
  }
}
