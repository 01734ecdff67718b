import { isThenable, kindOf } from '@grpc-stack/grpc-core/authoring'

/**
 * What a function of the set-up returned, which must be a text.
 * @throws TypeError naming the function. A promise is refused too: it would be another text for each call.
 */
export function textAtOnce(given: unknown, what: string): string {
  if (typeof given === 'string') return given
  // Its rejection is no reason to end the process.
  if (isThenable(given)) given.then(undefined, () => undefined)
  throw new TypeError(`${what} must return a text at once, got ${isThenable(given) ? 'a promise' : kindOf(given)}`)
}
