import type { CallOptions } from '@grpc/grpc-js'
import { CallOption, type ClientCall, type Interceptor, type Next, type Status } from '@grpc-stack/grpc-core'
import { factory, named, perMethod } from '@grpc-stack/grpc-core/authoring'
import { Attempts, limitAttempt } from './attempts.ts'
import { ChannelBudgets } from './channel-budgets.ts'
import type { RetryOptions, RetryOverrides } from './retry-options.ts'
import { checkOverrides, type MethodPlan, override, readRetryOptions } from './retry-settings.ts'

const PER_CALL: CallOption<RetryOverrides> = CallOption.shared('@grpc-stack/interceptor-retry/retry')

export interface RetryFactory {
  /**
   * A client interceptor that tries a failed call again, for all four patterns, by the rules of gRFC A6. Whatever runs
   * inside it runs again with each attempt; whatever stands outside sees one call.
   *
   * A call can be tried again until its response headers belong to the application; with `commit: 'message'`, until its first
   * response message does. Streamed requests are kept for replay up to a bound; a stream that
   * outgrows it goes on without a second chance.
   *
   * The final error carries `attempts`, and the earlier failures as an `AggregateError` in `cause`.
   *
   *     const channel = interceptChannel(createChannel(target, credentials), retry({ idempotent: '/shop.v1.Catalog/*' }))
   *
   * @throws TypeError for an option that is unknown or out of range.
   */
  (options?: RetryOptions): Interceptor<ClientCall>
  /**
   * Call options that change the policy for one call: `stub.get(request, retry.perCall({ maxAttempts: 1 }), callback)`.
   * @throws TypeError for an override that is unknown or out of range.
   */
  perCall(overrides: RetryOverrides): CallOptions
}

export const retry: RetryFactory = Object.assign(createRetry, {
  perCall(overrides: RetryOverrides): CallOptions {
    checkOverrides(overrides)
    return PER_CALL.with(overrides)
  },
})
factory('retry', retry)

function createRetry(options: RetryOptions = {}): Interceptor<ClientCall> {
  const settings = readRetryOptions(options)
  const budgets = new ChannelBudgets(settings)
  const planOf = perMethod((method): MethodPlan => ({ plan: settings.planFor(method), channelSeen: false }))

  const interceptor = (call: ClientCall, next: Next): Promise<Status> => {
    if (call.side !== 'client') return next()
    const entry = planOf(call.method)
    let { plan } = entry
    const overrides = call.option(PER_CALL)
    if (overrides !== undefined) plan = override(plan, overrides)
    else if (plan.unnamed) return next()
    const { deadline } = call
    limitAttempt(call, plan)
    if (plan.maxAttempts === 1) return next()
    const { budget, limits } = budgets.of(call.target)
    budget?.started()
    call.makeReplayable(limits)
    return new Attempts(call, next, settings, plan, budget, deadline).run(entry)
  }
  return named('retry', interceptor, { side: 'client' })
}
