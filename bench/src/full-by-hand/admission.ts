import { status as Code, type Metadata } from '@grpc/grpc-js'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { AUDIENCE, ISSUER, jwks } from '../token.ts'

const VALID_MS = 60_000
const INVALID_MS = 10_000
const MOST_TOKENS = 10_000
const MOST_PEERS = 100_000
const PER_MS = 1e6
const BURST = 1e9

const keys = createLocalJWKSet(jwks)

export interface Principal {
  readonly subject: string
  readonly claims: object
}

export interface Refusal {
  readonly code: Code
  readonly details: string
  readonly by: string
}

/** `who` is there or `refusal` is. */
export interface Admitted {
  readonly who?: Principal
  readonly refusal?: Refusal
}

interface Verdict {
  readonly admitted: Admitted
  readonly until: number
}

interface Bucket {
  tokens: number
  at: number
}

const UNAUTHENTICATED: Admitted = {
  refusal: { code: Code.UNAUTHENTICATED, details: 'No valid credentials', by: 'serverAuth' },
}
const LIMITED: Admitted = {
  refusal: { code: Code.RESOURCE_EXHAUSTED, details: 'Rate limit exceeded', by: 'rateLimit' },
}

/** The bearer token of a call. */
export function tokenIn(metadata: Metadata): string | undefined {
  const headers = metadata.get('authorization')
  const [header] = headers
  if (headers.length !== 1 || typeof header !== 'string' || header.length > 8192) return undefined
  return header.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined
}

/** Who may call: those with a valid token, each peer at its rate. Synchronous for a token that is known. */
export class Admission {
  /** Verdicts on tokens, the one used longest ago first. */
  readonly #verdicts = new Map<string, Verdict>()
  /** Of calls that bring the same token at the same time, one verifies it. */
  readonly #underway = new Map<string, Promise<Admitted>>()
  readonly #buckets = new Map<string, Bucket>()

  admit(token: string | undefined, peer: string): Admitted | Promise<Admitted> {
    if (token === undefined) return UNAUTHENTICATED
    const known = this.#verdicts.get(token)
    if (known === undefined || known.until <= Date.now()) {
      return this.#verify(token).then((late) => this.#limit(late, peer))
    }
    this.#verdicts.delete(token)
    this.#verdicts.set(token, known)
    return this.#limit(known.admitted, peer)
  }

  #limit(admitted: Admitted, peer: string): Admitted {
    if (admitted.refusal !== undefined) return admitted
    return this.#take(peer) ? admitted : LIMITED
  }

  #verify(token: string): Promise<Admitted> {
    let underway = this.#underway.get(token)
    if (underway === undefined) {
      underway = this.#ask(token).finally(() => this.#underway.delete(token))
      this.#underway.set(token, underway)
    }
    return underway
  }

  async #ask(token: string): Promise<Admitted> {
    const now = Date.now()
    try {
      const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: AUDIENCE })
      const until = Math.min(now + VALID_MS, (payload.exp ?? Number.POSITIVE_INFINITY) * 1000)
      return this.#keep(token, { admitted: { who: { subject: payload.sub ?? '', claims: payload } }, until })
    } catch {
      return this.#keep(token, { admitted: UNAUTHENTICATED, until: now + INVALID_MS })
    }
  }

  #keep(token: string, verdict: Verdict): Admitted {
    this.#verdicts.set(token, verdict)
    if (this.#verdicts.size > MOST_TOKENS) this.#verdicts.delete(this.#verdicts.keys().next().value as string)
    return verdict.admitted
  }

  #take(peer: string): boolean {
    const now = performance.now()
    // A peer's next connection has another port.
    const address = peer.slice(0, peer.lastIndexOf(':'))
    let bucket = this.#buckets.get(address)
    if (bucket === undefined) {
      if (this.#buckets.size >= MOST_PEERS) this.#buckets.delete(this.#buckets.keys().next().value as string)
      bucket = { tokens: BURST, at: now }
      this.#buckets.set(address, bucket)
    }
    bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) * PER_MS)
    bucket.at = now
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }
}
