/**
 * Whether a handler returned this value only because the last call in it did, so that it is no answer: an event emitter, such as
 * the call that `call.on(…)` and `call.pipe(call)` return, or any other stream; or a timer. Streams are iterable, but where a
 * handler writes `source.on('data', …)` its own listener reads them.
 */
export function isIncidental(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { on, emit, hasRef, unref } = value as Record<string, unknown>
  return areFunctions(on, emit) || areFunctions(hasRef, unref)
}

function areFunctions(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'function')
}
