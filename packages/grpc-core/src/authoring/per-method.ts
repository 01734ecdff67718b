import type { MethodInfo } from '../contract/method.ts'

/**
 * What is the same for all calls of a method, made for its first call. For an unregistered method it is made anew for each call:
 * callers make up such paths, and could fill the memory with what is kept of them.
 *
 *     const planOf = perMethod((method) => ({ idempotent: isIdempotent(method) }))
 *     const { idempotent } = planOf(call.method)
 *
 * What `make` needs besides of the first call, such as its side or its target, comes as a second argument.
 *
 * Where `make` throws, nothing is kept, and it is asked again for the next call.
 */
export function perMethod<T, First = void>(
  make: (method: MethodInfo, first: First) => T,
): (method: MethodInfo, first: First) => T {
  const made = new WeakMap<MethodInfo, T>()
  return (method, first) => {
    const known = made.get(method)
    if (known !== undefined || made.has(method)) return known as T // has(): it may have been made as undefined
    const value = make(method, first)
    if (method.registered) made.set(method, value)
    return value
  }
}
