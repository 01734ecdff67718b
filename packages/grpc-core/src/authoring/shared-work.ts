import { AsyncResource } from 'node:async_hooks'
import { outsideRpc } from '../contract/context.ts'

// Made while the module loads: what runs in it sees no caller's AsyncLocalStorage.
const outside = new AsyncResource('GRPC_STACK_OUTSIDE', { requireManualDestroy: true })

/**
 * Runs work that several calls share in the context of none of them: it sees no caller's AsyncLocalStorage, no `ContextVar`, and
 * no server call whose deadline or cancellation `propagate()` would give to calls made in here.
 */
export function runShared<T>(work: () => T): T {
  // A resource for each: on Node 20 and 22 what `enterWith` sets in here stays with the resource.
  const own = outside.runInAsyncScope(() => new AsyncResource('GRPC_STACK_SHARED', { requireManualDestroy: true }))
  // Outside of an RPC also where this module was first loaded while a call was handled.
  return own.runInAsyncScope(() => outsideRpc(work))
}
