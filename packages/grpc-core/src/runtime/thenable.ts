/** Whether a value has to be waited for: a promise of any make, or what `await` treats as one. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  const possible = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return possible && typeof (value as PromiseLike<T>).then === 'function'
}
