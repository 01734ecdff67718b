/**
 * Gives an interceptor its name, which `status.refusedBy` tells of refusals. By a constant, because bundlers shorten the names of
 * functions. Changes the function given, so give one that was made for this.
 *
 *     return named('rateLimit', (call, next) => …)
 */
// biome-ignore lint/suspicious/noExplicitAny: any function type is one; with unknown, none with parameters would be
export function named<F extends (...args: any) => unknown>(name: string, fn: F): F {
  return Object.defineProperty(fn, 'name', { value: name, configurable: true })
}
