import { AsyncResource } from 'node:async_hooks'

/**
 * The same function, which runs in the context of this moment whenever it is called. A call that waits in a queue is woken in the
 * event of another call, or of a timer that serves many: every AsyncLocalStorage and `ContextVar` is that event's then, so what
 * follows has to go back to the context the call waits in. For calls that wait only: it allocates.
 */
export function inThisContext<Args extends unknown[], Result>(
  run: (...args: Args) => Result,
): (...args: Args) => Result {
  const resource = new AsyncResource('GRPC_STACK_WAITING', { requireManualDestroy: true })
  return (...args) => resource.runInAsyncScope(run, undefined, ...args)
}
