import { hash } from 'node:crypto'
import type { ServerCall } from '@grpc-stack/grpc-core'
import type { Authenticator, Verdict } from './authenticator.ts'
import { malformed } from './authorization-header.ts'
import type { Clock } from './clock.ts'
import { MALFORMED, type Outcome } from './outcome.ts'
import { principalOf } from './principal.ts'
import { isPromise } from './promise.ts'
import { Semaphore } from './semaphore.ts'
import type { VerdictCache } from './verdict-cache.ts'
import { failureOf, VerifierUnavailableError } from './verifier-errors.ts'

export interface VerificationSettings {
  readonly maxCredentialLength: number
  readonly timeoutMs: number
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly clock: Clock
  /** Whether this call may still have a credential verified that nobody has seen yet. */
  readonly admits: (call: ServerCall) => boolean
}

/**
 * One authenticator, bounded: verifications under way are limited in number and in time, calls with the same credential
 * share one, and what it said is kept. A verifier that answers at once, or an answer that is kept, costs no promise.
 */
export class Verification {
  readonly #authenticator: Authenticator
  readonly #cache: VerdictCache | undefined
  readonly #settings: VerificationSettings
  readonly #places: Semaphore
  readonly #flights = new Map<string, Promise<Outcome>>()

  constructor(authenticator: Authenticator, cache: VerdictCache | undefined, settings: VerificationSettings) {
    this.#authenticator = authenticator
    this.#cache = cache
    this.#settings = settings
    this.#places = new Semaphore(settings.maxConcurrent, settings.maxQueued)
  }

  /** What this authenticator makes of the call; undefined when the call brings nothing for it. */
  of(call: ServerCall): Outcome | Promise<Outcome> | undefined {
    const credential = this.#authenticator.credential(call)
    if (credential === undefined) return undefined
    if (credential === malformed || credential.length > this.#settings.maxCredentialLength) return MALFORMED
    if (this.#cache === undefined) return this.#begin(credential, call)
    // The digest, because credentials should not lie about in memory, and a key should not be 8 kB long.
    const digest = hash('sha256', credential, 'base64')
    return this.#cache.get(digest) ?? this.#flights.get(digest) ?? this.#share(digest, credential, call)
  }

  #share(digest: string, credential: string, call: ServerCall): Outcome | Promise<Outcome> {
    const outcome = this.#begin(credential, call)
    if (!isPromise(outcome)) {
      this.#cache?.keep(digest, outcome)
      return outcome
    }
    const flight = outcome.then((settled) => {
      this.#flights.delete(digest)
      this.#cache?.keep(digest, settled)
      return settled
    })
    this.#flights.set(digest, flight)
    return flight
  }

  #begin(credential: string, call: ServerCall): Outcome | Promise<Outcome> {
    const { clock, timeoutMs } = this.#settings
    if (!this.#settings.admits(call)) return { refusal: 'limited', by: this.#authenticator.name }
    const deadline = clock.now() + timeoutMs
    if (this.#places.tryAcquire()) return this.#run(credential, call, deadline)
    return new Promise((resolve) => {
      const giveUp = this.#places.wait(() => {
        clock.clearTimeout(timer)
        resolve(this.#run(credential, call, deadline))
      })
      if (giveUp === undefined) resolve(this.#unavailable('too many verifications are waiting'))
      const timer =
        giveUp &&
        clock.setTimeout(() => {
          giveUp()
          resolve(this.#unavailable(`no verification could start within ${timeoutMs} ms`))
        }, timeoutMs)
    })
  }

  /** Begins with a place held and gives it back. Never rejects. */
  #run(credential: string, call: ServerCall, deadline: number): Outcome | Promise<Outcome> {
    const { clock, timeoutMs } = this.#settings
    let verdict: Verdict | Promise<Verdict>
    try {
      verdict = this.#authenticator.verify(credential, call)
    } catch (error) {
      this.#places.release()
      return this.#failed(error)
    }
    if (!isPromise(verdict)) {
      this.#places.release()
      return this.#judge(verdict)
    }
    const waiting = verdict
    return new Promise((resolve) => {
      let settled = false
      const settle = (outcome: Outcome): void => {
        if (settled) return
        settled = true
        clock.clearTimeout(timer)
        this.#places.release()
        resolve(outcome)
      }
      const late = () => settle(this.#unavailable(`no answer within ${timeoutMs} ms`))
      const timer = clock.setTimeout(late, Math.max(0, deadline - clock.now()))
      waiting.then(
        (value) => settle(this.#judge(value)),
        (error: unknown) => settle(this.#failed(error)),
      )
    })
  }

  #judge(verdict: unknown): Outcome {
    const by = this.#authenticator.name
    if (verdict === null || verdict === undefined || verdict === false) return { refusal: 'invalid', by }
    try {
      const principal = principalOf(verdict, by)
      const expired = principal.expiresAt !== undefined && principal.expiresAt <= this.#settings.clock.now()
      return expired ? { refusal: 'invalid', by, cause: new Error('expired') } : { principal, by }
    } catch (error) {
      return { refusal: 'rubbish', by, cause: error }
    }
  }

  #failed(error: unknown): Outcome {
    return { refusal: failureOf(error), by: this.#authenticator.name, cause: error }
  }

  #unavailable(why: string): Outcome {
    const cause = new VerifierUnavailableError(`serverAuth: ${this.#authenticator.name}: ${why}`)
    return { refusal: 'unavailable', by: this.#authenticator.name, cause }
  }
}
