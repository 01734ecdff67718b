import { withoutServerCall } from '@grpc-stack/grpc-core'
import { isThenable, runShared } from '@grpc-stack/grpc-core/authoring'
import type { Token, TokenProvider, TokenRequest } from './token.ts'

type Answer = string | Token | Promise<string | Token>

/**
 * Where a provider runs. What calls share belongs to none of them: a deadline, a cancellation or a user of the first caller
 * must not decide about the others.
 *
 *     shared       the provider                          runs in
 *     false        any                                   the call's own context
 *     true         any                                   no call's
 *     not said     declared async                        no call's
 *                  has returned a promise before         no call's
 *                  any other                             the call's own, without its server call; if it returns a
 *                                                        promise, without its ContextVars from then on
 */
export class ProviderContext {
  readonly #provider: TokenProvider
  #shared: boolean | undefined

  constructor(provider: TokenProvider, shared: boolean | undefined) {
    this.#provider = provider
    this.#shared = shared ?? (isDeclaredAsync(provider) ? true : undefined)
  }

  ask(request: TokenRequest): Answer {
    const ask = (): Answer => this.#provider(request)
    if (this.#shared === false) return ask()
    if (this.#shared === true) return this.runShared(ask)
    const answer = withoutServerCall(ask, isThenable)
    if (isThenable(answer)) this.#shared = true
    return answer
  }

  /** Runs what is done about an answer that calls share. */
  runShared<T>(work: () => T): T {
    return this.#shared === false ? work() : runShared(work)
  }
}

function isDeclaredAsync(provider: TokenProvider): boolean {
  return Object.prototype.toString.call(provider) === '[object AsyncFunction]'
}
