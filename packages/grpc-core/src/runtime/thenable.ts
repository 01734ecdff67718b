/** Whether a value has to be waited for: a promise of any make, or what `await` treats as one. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  const possible = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return possible && typeof (value as PromiseLike<T>).then === 'function'
}

/**
 * What a callback returned that has to be synchronous. A promise would be taken for what it is not: for true, or for a message
 * without fields. What becomes of it, a rejection too, is of no interest then.
 * @param name of the callback, for the error
 * @throws TypeError for a promise
 */
export function synchronous<T>(returned: T, name: string): T {
  if (!isThenable<unknown>(returned)) return returned
  ignore(returned)
  throw new TypeError(`${name} must be synchronous, and returned a promise`)
}

/** Keeps the rejection of a promise that is not waited for from being an unhandled one. Never throws. */
export function ignore(promise: PromiseLike<unknown>): void {
  try {
    promise.then(undefined, () => undefined)
  } catch {} // one that is not Node's
}
