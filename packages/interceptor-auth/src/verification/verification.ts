import { hash } from 'node:crypto'
import type { ServerCall } from '@grpc-stack/grpc-core'
import type { WallClock } from '@grpc-stack/grpc-core/authoring'
import { isThenable, quoted, runShared } from '@grpc-stack/grpc-core/authoring'
import { wrongAnswer } from '../at-once.ts'
import type { Authenticator } from '../contract/authenticator.ts'
import { malformed } from '../contract/authorization-header.ts'
import { principalOf } from '../contract/principal.ts'
import { meaningOf, VerifierUnavailableError } from '../contract/verifier-errors.ts'
import type { Attempt } from './attempt.ts'
import type { Attempts } from './attempts.ts'
import { FairQueue } from './fair-queue.ts'
import { Flight } from './flight.ts'
import { MALFORMED, type Outcome, type Refused } from './outcome.ts'
import { peerAddress } from './peer-address.ts'
import { Semaphore } from './semaphore.ts'
import type { VerdictCache } from './verdict-cache.ts'

export interface VerificationSettings {
  readonly maxCredentialLength: number
  readonly timeoutMs: number
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly maxJoined: number
  readonly clock: WallClock
}

interface Credential {
  readonly text: string
  // Credentials should not lie about in memory, and a key should not be 8 kB long. Empty where nothing is looked up by it.
  readonly digest: string
}

type Settle = (outcome: Outcome | Promise<Outcome>) => void

/**
 * One authenticator, bounded. A call goes through
 *
 *     1. `failureLimit`, which may make it wait until it is known how other guesses of its peer ended;
 *     2. what the authenticator said before, if it may be shared;
 *     3. the verification another call has begun, if it may be shared;
 *     4. a verification of its own, which may have to wait for a place.
 *
 * Work of one call runs in that call's context, shared work in that of no call. A verifier that answers at once, or an answer that is
 * kept, costs no promise.
 */
export class Verification {
  readonly #authenticator: Authenticator
  /** As it was when policies were compared with it. */
  readonly #name: string
  readonly #cache: VerdictCache | undefined
  readonly #settings: VerificationSettings
  readonly #places: Semaphore
  readonly #flights = new Map<string, Flight>()
  readonly #joined: FairQueue<() => void>

  /** @param cache none where no call may be told what another call's verification said */
  constructor(authenticator: Authenticator, cache: VerdictCache | undefined, settings: VerificationSettings) {
    this.#authenticator = authenticator
    this.#name = authenticator.name
    this.#cache = cache
    this.#settings = settings
    this.#places = new Semaphore(settings.maxConcurrent, settings.maxQueued)
    this.#joined = new FairQueue(settings.maxJoined, (refuse) => refuse())
  }

  /**
   * What this authenticator makes of the call; undefined when the call brings nothing for it.
   *
   * @param attempts with `failureLimit`
   */
  of(call: ServerCall, attempts: Attempts | undefined): Outcome | Promise<Outcome> | undefined {
    const { maxCredentialLength } = this.#settings
    try {
      const text = this.#authenticator.credential(call)
      if (text === undefined) return undefined
      if (typeof text !== 'string' && text !== malformed) {
        const what = `serverAuth: credential() of the authenticator ${quoted(this.#name)}`
        throw wrongAnswer(text, `${what} must return a text or undefined at once`)
      }
      if (text === malformed || text.length > maxCredentialLength) {
        attempts?.malformed()
        return MALFORMED
      }
      const digest = this.#cache || attempts ? hash('sha256', text, 'base64') : ''
      const credential = { text, digest }
      return attempts === undefined
        ? this.#verdict(call, credential, undefined)
        : this.#limited(call, credential, attempts)
    } catch (error) {
      // Of `credential` or `failureLimit.key`; what a verifier throws is an outcome already.
      return { refusal: 'internal', by: this.#name, cause: error }
    }
  }

  #limited(call: ServerCall, credential: Credential, attempts: Attempts): Outcome | Promise<Outcome> {
    const { clock, timeoutMs } = this.#settings
    const attempt = attempts.enter(credential.digest)
    if (attempt === 'limited') return { refusal: 'limited', by: this.#name }
    if (attempt !== 'full') return this.#verdict(call, credential, attempt)
    return this.#wait(call, true, (settle) => {
      const leave = attempts.wait(() => {
        clock.clearTimeout(timer)
        settle(this.#limited(call, credential, attempts))
      })
      const timer = clock.setTimeout(() => {
        leave()
        settle(this.#unavailable(`other credentials of this peer were not verified within ${timeoutMs} ms`))
      }, timeoutMs)
      return () => {
        clock.clearTimeout(timer)
        leave()
      }
    })
  }

  #verdict(call: ServerCall, credential: Credential, attempt: Attempt | undefined): Outcome | Promise<Outcome> {
    const kept = this.#cache?.get(credential.digest)
    if (kept !== undefined) {
      attempt?.hears(kept)
      return kept
    }
    const flight = this.#flights.get(credential.digest)
    if (flight !== undefined && this.#cache?.mayShare(flight.askedAt)) return this.#join(flight, call, attempt)
    return this.#begin(call, credential, attempt)
  }

  #join(flight: Flight, call: ServerCall, attempt: Attempt | undefined): Promise<Outcome> {
    return this.#wait(
      call,
      true,
      (settle) => flight.join(settle),
      (outcome) => attempt?.hears(outcome),
    )
  }

  #begin(call: ServerCall, credential: Credential, attempt: Attempt | undefined): Outcome | Promise<Outcome> {
    const { digest } = credential
    const flight = new Flight(
      {
        address: peerAddress(call),
        ask: () => this.#ask(call, credential.text),
        judge: (answer) => this.#judge(answer),
        failed: (error) => this.#failed(error),
        unavailable: (why) => this.#unavailable(why),
        settled: (outcome) => {
          if (this.#flights.get(digest) === flight) this.#flights.delete(digest)
          if (flight.askedAt !== undefined) this.#cache?.keep(digest, outcome, flight.askedAt)
          // Also when the call is gone: a guess that is cancelled has still been verified.
          attempt?.ends(outcome)
        },
      },
      { places: this.#places, clock: this.#settings.clock, timeoutMs: this.#settings.timeoutMs },
    )
    attempt?.begins()
    const outcome = flight.start()
    if (outcome !== undefined) return outcome
    if (this.#cache?.mayShare(undefined)) this.#flights.set(digest, flight)
    return this.#wait(call, false, (settle) => flight.join(settle))
  }

  #ask(call: ServerCall, credential: string): unknown {
    const authenticator = this.#authenticator
    if (authenticator.shareable !== true) return authenticator.verify(credential, call)
    // With a cache, other calls will be told: also where only refusals are kept.
    return this.#cache ? runShared(() => authenticator.verify(credential)) : authenticator.verify(credential)
  }

  /**
   * Waits for what `begin` settles, as long as the call lasts.
   *
   * @param counted whether the call waits for what others do, of which there may be `maxJoined`
   * @param begin returns how the call leaves
   * @param ended hears the outcome for this call, also when that is that it left
   */
  #wait(
    call: ServerCall,
    counted: boolean,
    begin: (settle: Settle) => () => void,
    ended?: (outcome: Outcome) => void,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const { signal } = call
      const address = peerAddress(call)
      let leave: (() => void) | undefined
      const settle: Settle = (outcome) => {
        signal.removeEventListener('abort', cancel)
        if (counted) this.#joined.delete(address, evict)
        if (!isThenable(outcome)) ended?.(outcome)
        resolve(outcome)
      }
      const give = (outcome: Outcome) => {
        leave?.()
        settle(outcome)
      }
      const cancel = () => give({ refusal: 'cancelled', by: this.#name })
      const evict = () => give(this.#unavailable('too many calls are waiting, most of them from this address'))
      if (counted && !this.#joined.add(address, evict)) return settle(this.#unavailable('too many calls are waiting'))
      signal.addEventListener('abort', cancel, { once: true })
      leave = begin(settle)
      if (signal.aborted) cancel()
    })
  }

  #judge(verdict: unknown): Outcome {
    const by = this.#name
    if (verdict === null || verdict === undefined || verdict === false)
      return { refusal: 'invalid', by, definite: true }
    try {
      const principal = principalOf(verdict, by)
      const expired = principal.expiresAt !== undefined && principal.expiresAt <= this.#settings.clock.now()
      if (!expired) return { principal, by }
      return { refusal: 'invalid', by, definite: true, cause: new Error('expired') }
    } catch (error) {
      return { refusal: 'internal', by, cause: error }
    }
  }

  #failed(error: unknown): Refused {
    return { ...meaningOf(error), by: this.#name, cause: error }
  }

  #unavailable(why: string): Refused {
    const cause = new VerifierUnavailableError(`serverAuth: ${this.#name}: ${why}`)
    return { refusal: 'unavailable', by: this.#name, cause }
  }
}
