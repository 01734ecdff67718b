import { AsyncResource } from 'node:async_hooks'

/** Captures the current asynchronous context, the value of every AsyncLocalStorage, to run something in later. */
export function captureScope(): AsyncResource {
  return new AsyncResource('GRPC_STACK_LAYER', NO_HOOKS)
}

/**
 * Whether an AsyncLocalStorage of this process may hold something. Before Node 24 the first one makes every await of the process
 * slower, so calls do without as long as the application does; from then on Node marks each AsyncResource that it makes
 * (`kResourceStore`, lib/async_hooks.js of Node 20 and 22). Later versions keep contexts in V8, where they cost next to nothing.
 */
export function asyncStorageInUse(): boolean {
  if (!slowsAwaits) return true
  for (const symbol of Object.getOwnPropertySymbols(captureScope())) {
    if (symbol.description === 'kResourceStore') return true
  }
  return false
}

const NO_HOOKS = { requireManualDestroy: true } as const
const slowsAwaits = Number.parseInt(process.versions.node, 10) < 24
