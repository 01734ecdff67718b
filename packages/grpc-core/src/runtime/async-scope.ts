import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

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

/**
 * What `storage.run` does, for less. Where V8 keeps the contexts, each change of one copies the map of all stores, and `run` changes it
 * back at the end: a scope that was captured at the same place knows the way back without a copy.
 * @param here captured where this is called
 */
export function runWith<T, Subject>(
  storage: AsyncLocalStorage<T>,
  store: T,
  work: (subject: Subject) => void,
  subject: Subject,
  here: AsyncResource,
): void {
  keptByV8 ??= !slowsAwaits && leavesScopesAlone()
  if (!keptByV8) storage.run(store, work, subject)
  else here.runInAsyncScope(enterAndRun<T, Subject>, undefined, storage, store, work, subject)
}

let keptByV8: boolean | undefined

function enterAndRun<T, Subject>(
  storage: AsyncLocalStorage<T>,
  store: T,
  work: (subject: Subject) => void,
  subject: Subject,
): void {
  storage.enterWith(store)
  work(subject)
}

/** Whether what is entered in a scope ends with it. With `--no-async-context-frame` the scope itself would have it from then on. */
function leavesScopesAlone(): boolean {
  const storage = new AsyncLocalStorage<boolean>()
  const scope = captureScope()
  scope.runInAsyncScope(storage.enterWith, storage, true)
  const entered = scope.runInAsyncScope(storage.getStore, storage)
  storage.disable()
  return entered === undefined
}

const NO_HOOKS = { requireManualDestroy: true } as const
const slowsAwaits = Number.parseInt(process.versions.node, 10) < 24
