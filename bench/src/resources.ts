import { type AsyncHook, createHook } from 'node:async_hooks'

let counted = 0
let hook: AsyncHook | undefined

/** Counts the asynchronous resources of this process, promises included, from now on. */
export function startCounting(): void {
  counted = 0
  hook = createHook({
    init() {
      counted++
    },
  }).enable()
}

/** How many were made since. */
export function stopCounting(): number {
  hook?.disable()
  return counted
}
