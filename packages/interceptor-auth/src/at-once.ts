import { isThenable, kindOf } from '@grpc-stack/grpc-core/authoring'
import { WrongAnswerError } from './contract/verifier-errors.ts'

/**
 * What a function of the set-up returned, which must be a text.
 * @throws WrongAnswerError naming the function. A promise is refused too: it would be another text for each call.
 */
export function textAtOnce(given: unknown, what: string): string {
  if (typeof given === 'string') return given
  throw wrongAnswer(given, `${what} must return a text at once`)
}

/**
 * The same for a function whose answer comes out of a credential. What is neither a text nor a promise is undefined: that is the
 * doing of the credential.
 */
export function textOfCredentialAtOnce(given: unknown, what: string): string | undefined {
  if (isThenable(given)) throw wrongAnswer(given, `${what} must return a text or undefined at once`)
  return typeof given === 'string' ? given : undefined
}

/** @throws WrongAnswerError naming the function, for anything but true and false: a promise would be a yes to any question. */
export function yesOrNo(given: unknown, what: string): boolean {
  if (typeof given === 'boolean') return given
  throw wrongAnswer(given, `${what} must return true or false`)
}

/** An error that says which function answered what. */
export function wrongAnswer(given: unknown, expected: string): WrongAnswerError {
  if (!isThenable(given)) return new WrongAnswerError(`${expected}, got ${kindOf(given)}`)
  // Its rejection is no reason to end the process.
  Promise.resolve(given).catch(() => undefined)
  return new WrongAnswerError(`${expected}, got a promise`)
}
