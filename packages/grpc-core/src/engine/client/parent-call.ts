import type { EventEmitter } from 'node:events'
import { type InterceptorOptions, propagate } from '@grpc/grpc-js'
import { toEpochMs } from '../../runtime/deadline.ts'

// What grpc-js propagates from the server call that a client call names as its `parent`.

/** The deadline of the parent call, in epoch milliseconds; `Infinity` where none is propagated. */
export function parentDeadline(options: InterceptorOptions): number {
  const { parent } = options
  if (!parent || !propagates(options, propagate.DEADLINE)) return Number.POSITIVE_INFINITY
  return toEpochMs(parent.getDeadline())
}

/** Calls back when the parent call is cancelled, if that is propagated. Returns what ends it. */
export function watchParent(options: InterceptorOptions, onCancelled: () => void): (() => void) | undefined {
  // grpc-js adds a listener per attempt and never removes it (resolving-call.ts, 1.14): listen once, here.
  const parent: EventEmitter | undefined = options.parent
  if (!parent || !propagates(options, propagate.CANCELLATION)) return undefined
  parent.on('cancelled', onCancelled)
  return () => parent.removeListener('cancelled', onCancelled)
}

function propagates(options: InterceptorOptions, flag: number): boolean {
  return ((options.propagate_flags ?? propagate.DEFAULTS) & flag) !== 0
}
