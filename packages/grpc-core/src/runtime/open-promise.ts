// The executor of a promise runs at once: one function for all of them saves a closure for each.
let latest: (value: never) => void = () => undefined
const executor = (resolve: (value: never) => void): void => {
  latest = resolve
}

/** A promise that is resolved from outside: by what `resolverOfLatest` returns directly afterwards. */
export function openPromise<T>(): Promise<T> {
  return new Promise<T>(executor as (resolve: (value: T) => void) => void)
}

/** Resolves the promise that `openPromise` made last. */
export function resolverOfLatest<T>(): (value: T) => void {
  return latest as (value: T) => void
}
