import type { ClientCall, Interceptor, Next } from '@grpc-stack/grpc-core'
import { factory, named } from '@grpc-stack/grpc-core/authoring'
import { AdaptiveThrottle, type AdaptiveThrottleOptions, type AdaptiveThrottleState } from './adaptive-throttle.ts'
import { Pacer, type PacingOptions } from './pacer.ts'

/** With `rate`: an outgoing rate. Without: adaptive. */
export type ThrottleOptions = AdaptiveThrottleOptions | PacingOptions

/** `throttle()` without a rate: the interceptor, with its state. */
export interface AdaptiveThrottleInterceptor extends Interceptor<ClientCall> {
  /** What is known of a key. Default: of the calls without a target. */
  state(key?: string): AdaptiveThrottleState
}

/** `throttle({ rate })`: the interceptor, with its state. */
export interface PacingInterceptor extends Interceptor<ClientCall> {
  /** How many calls wait under a key. Default: of the calls without a target. */
  waiting(key?: string): number
}

/**
 * Holds calls back on the client, before they cost the network and the server anything.
 *
 *     throttle()                            // adaptive: backs off from a server that refuses calls
 *     throttle({ rate: 50, burst: 10 })     // 50 calls per second; those over it wait for their turn
 *
 * Adaptive: calls are refused here with a probability that grows with the part of calls the server refuses, and falls
 * again when it accepts them. With a rate: calls wait, first come, first served, and are refused at once if their turn
 * would come after their deadline. Refusals are RESOURCE_EXHAUSTED from here. Inside `retry()`, it sees each attempt.
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function throttle(options: PacingOptions): PacingInterceptor
export function throttle(options?: AdaptiveThrottleOptions): AdaptiveThrottleInterceptor
export function throttle(options: ThrottleOptions = {}): AdaptiveThrottleInterceptor | PacingInterceptor {
  if (hasRate(options)) {
    const pacer = new Pacer('throttle', options)
    return Object.assign(
      named('throttle', (call: ClientCall, next: Next) => pacer.intercept(call, next), FOR_CLIENTS),
      { waiting: (key = '') => pacer.waiting(key) },
    )
  }
  const adaptive = new AdaptiveThrottle('throttle', options)
  return Object.assign(
    named('throttle', (call: ClientCall, next: Next) => adaptive.intercept(call, next), FOR_CLIENTS),
    { state: (key = '') => adaptive.state(key) },
  )
}
factory('throttle', throttle)

const FOR_CLIENTS = { side: 'client', instead: 'rateLimit() or concurrencyLimit()' } as const

function hasRate(options: ThrottleOptions): options is PacingOptions {
  return typeof options === 'object' && options !== null && 'rate' in options
}
