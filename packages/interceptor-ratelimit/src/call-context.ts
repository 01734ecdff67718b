import { AsyncResource } from 'node:async_hooks'

// A call that waits is woken in the event of another call, or of a timer that serves many. Every AsyncLocalStorage and
// ContextVar is that event's then, so what follows has to go back to the context the call waits in.

/** The same function, which runs in the context of this moment whenever it is called. For calls that wait only: it allocates. */
export function inThisContext<Args extends unknown[], Result>(
  run: (...args: Args) => Result,
): (...args: Args) => Result {
  const resource = new AsyncResource('grpc-stack.ratelimit.waiting', { requireManualDestroy: true })
  return (...args) => resource.runInAsyncScope(run, undefined, ...args)
}

const outside = new AsyncResource('grpc-stack.ratelimit.shared', { requireManualDestroy: true })

/** Runs work that calls share in the context this module was loaded in, so that it is done on behalf of no call and keeps none. */
export function outsideCalls<Result>(run: () => Result): Result {
  return outside.runInAsyncScope(run)
}
