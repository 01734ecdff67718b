import { status as Code } from '@grpc/grpc-js'
import { type Interceptor, type Next, RpcError, type ServerCall, type Status } from '@grpc-stack/grpc-core'
import { factory, isThenable, named, withMatchers } from '@grpc-stack/grpc-core/authoring'
import { type Principal, principalVar } from '../contract/principal.ts'
import { meaningOf, VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { Attempts } from '../verification/attempts.ts'
import { MISSING, type Outcome, type Refusal, type Refused, worse } from '../verification/outcome.ts'
import { VerdictCache } from '../verification/verdict-cache.ts'
import { Verification } from '../verification/verification.ts'
import { callAt } from './call-at.ts'
import {
  checkServerAuth,
  type Decision,
  type ServerAuthOptions,
  type ServerAuthSettings,
} from './server-auth-options.ts'

/**
 * Lets a call through only when it is known who makes it and that they may:
 *
 *     serverAuth({
 *       verify: jwt({ jwks: 'https://id.example.com/keys', issuer: 'https://id.example.com/', audience: 'shop' }),
 *       public: healthAndReflection,
 *       authorize: policy({ allow: [{ name: 'readers', methods: 'shop.v1.Catalog', claims: { role: 'reader' } }] }),
 *     })
 *
 * Decides on metadata, before anything of the request is read, the same way for all four patterns. What it answers:
 *
 *     UNAUTHENTICATED      no valid credential, always with the same text
 *     PERMISSION_DENIED    a valid credential, and `authorize` said no
 *     UNAVAILABLE          the verifier could not be asked, or not in time
 *     CANCELLED            the call was cancelled while its credential was verified
 *     RESOURCE_EXHAUSTED   too many credentials of this peer were refused (`failureLimit`)
 *     INTERNAL             a verifier or `authorize` misbehaved
 *
 * Handlers and inner interceptors find the principal in `principalVar`.
 *
 * @throws TypeError for a wrong option.
 */
export function serverAuth(options: ServerAuthOptions): Interceptor<ServerCall> {
  const settings = checkServerAuth(options)
  principalVar.enable()
  const { cache, clock } = settings
  const verifications = settings.authenticators.map((authenticator) => {
    const verdicts = cache && authenticator.shareable === true ? new VerdictCache(cache, clock) : undefined
    return new Verification(authenticator, verdicts, settings.verification)
  })

  const interceptor: Interceptor<ServerCall> = (call, next) => {
    if (settings.isPublic(call.method)) {
      tell(settings, { call, allowed: true, reason: 'public' })
      return next()
    }
    const attempts = settings.failureLimit && new Attempts(settings.failureLimit, call)
    const outcome = authenticate(verifications, call, attempts, 0, MISSING)
    if (isThenable(outcome)) return authenticatedLate(settings, call, next, attempts, outcome)
    attempts?.close()
    return authenticated(settings, call, next, outcome)
  }
  withMatchers(interceptor, { public: settings.isPublic, authorize: settings.authorize })
  return named('serverAuth', interceptor, { side: 'server', instead: 'clientAuth()' })
}
factory('serverAuth', serverAuth)

// What waits is apart: a function with a closure in it costs each call something, also where the verdict is known.

function authenticatedLate(
  settings: ServerAuthSettings,
  call: ServerCall,
  next: Next,
  attempts: Attempts | undefined,
  outcome: Promise<Outcome>,
): Promise<Status> {
  return outcome.then((known) => {
    attempts?.close()
    return authenticated(settings, call, next, known)
  })
}

/** Asks the authenticators from the nth on, in order, until one accepts. */
function authenticate(
  verifications: readonly Verification[],
  call: ServerCall,
  attempts: Attempts | undefined,
  from: number,
  refused: Refused,
): Outcome | Promise<Outcome> {
  let worst = refused
  for (let n = from; n < verifications.length; n++) {
    const outcome = verifications[n]?.of(call, attempts)
    if (outcome === undefined) continue
    if (isThenable(outcome)) return authenticateLate(verifications, call, attempts, n, worst, outcome)
    // What is malformed is not for the next one to try: a header with two values must not be read leniently by anyone.
    if (outcome.principal !== undefined || outcome.refusal === 'malformed') return outcome
    worst = worse(worst, outcome)
  }
  return worst
}

/** The nth authenticator answers later. */
function authenticateLate(
  verifications: readonly Verification[],
  call: ServerCall,
  attempts: Attempts | undefined,
  n: number,
  refused: Refused,
  outcome: Promise<Outcome>,
): Promise<Outcome> {
  return outcome.then((late) =>
    late.principal !== undefined || late.refusal === 'cancelled'
      ? late
      : authenticate(verifications, call, attempts, n + 1, worse(refused, late)),
  )
}

function authenticated(
  settings: ServerAuthSettings,
  call: ServerCall,
  next: Next,
  outcome: Outcome,
): Status | Promise<Status> {
  if (outcome.principal === undefined) {
    const { refusal, cause } = outcome
    if (settings.onDecision !== undefined) tell(settings, refusedDecision(call, outcome))
    if (refusal === 'cancelled') return endOf(call)
    return cause === undefined ? ANSWERS[refusal] : { ...ANSWERS[refusal], cause }
  }
  const { principal, by } = outcome
  const { authorize } = settings
  if (authorize === undefined) return proceed(settings, call, next, principal, by)
  return authorized(settings, call, next, principal, by, authorize)
}

function authorized(
  settings: ServerAuthSettings,
  call: ServerCall,
  next: Next,
  principal: Principal,
  by: string,
  authorize: NonNullable<ServerAuthSettings['authorize']>,
): Status | Promise<Status> {
  const conclude = (allowed: unknown): Status | Promise<Status> => {
    // Only true is a yes: an object or a text is an authorize that was meant to be read differently.
    if (allowed === true) return proceed(settings, call, next, principal, by)
    tell(settings, { call, allowed: false, reason: 'unauthorized', principal, authenticator: by })
    return ANSWERS.denied
  }
  const failed = (error: unknown): Status => broken(settings, call, principal, by, error)
  let allowed: boolean | Promise<boolean>
  let late: boolean
  try {
    allowed = authorize(principal, call)
    late = isThenable(allowed)
  } catch (error) {
    return failed(error)
  }
  return late ? inTime(allowed, call, settings).then(conclude, failed) : conclude(allowed)
}

function refusedDecision(call: ServerCall, { refusal, by, cause }: Refused): Decision {
  return {
    call,
    allowed: false,
    reason: refusal,
    ...(by !== undefined && { authenticator: by }),
    ...(cause !== undefined && { cause }),
  }
}

/** `authorize` threw: whatever it meant, it did not say yes. */
function broken(
  settings: ServerAuthSettings,
  call: ServerCall,
  principal: Principal,
  by: string,
  cause: unknown,
): Status {
  if (cause === CALL_ENDED) {
    tell(settings, { call, allowed: false, reason: 'cancelled', principal, authenticator: by })
    return endOf(call)
  }
  const { refusal } = meaningOf(cause)
  const reason = refusal === 'invalid' ? 'internal' : refusal
  tell(settings, { call, allowed: false, reason, principal, authenticator: by, cause })
  return { ...ANSWERS[reason], cause }
}

function proceed(
  settings: ServerAuthSettings,
  call: ServerCall,
  next: Next,
  principal: Principal,
  by: string,
): Promise<Status> {
  call.context.set(principalVar, principal)
  tell(settings, { call, allowed: true, reason: 'authorized', principal, authenticator: by })
  const { method } = call
  const limited = settings.endStreamsOnExpiry && principal.expiresAt !== undefined
  // An unregistered method has no pattern, and no handler that could run on.
  if (!limited || !(method.requestStream || method.responseStream)) return next()
  return untilExpiry(settings, call, next, principal, by)
}

function untilExpiry(
  settings: ServerAuthSettings,
  call: ServerCall,
  next: Next,
  principal: Principal,
  by: string,
): Promise<Status> {
  return new Promise((resolve) => {
    const callOff = callAt(settings.clock, principal.expiresAt ?? 0, () => {
      tell(settings, { call, allowed: false, reason: 'expired', principal, authenticator: by })
      resolve(ANSWERS.invalid)
    })
    void next().then((status) => {
      callOff()
      resolve(status)
    })
  })
}

/** Waits for an answer as long as the call lasts, and no longer than `timeoutMs`. */
async function inTime<T>(
  answer: T,
  { signal }: ServerCall,
  { clock, timeoutMs }: ServerAuthSettings,
): Promise<Awaited<T>> {
  let reject: (reason: unknown) => void = () => undefined
  const over = new Promise<never>((_, rejectIt) => {
    reject = rejectIt
  })
  const late = () => reject(new VerifierUnavailableError(`serverAuth: authorize gave no answer within ${timeoutMs} ms`))
  const ended = () => reject(CALL_ENDED)
  const timer = clock.setTimeout(late, timeoutMs)
  signal.addEventListener('abort', ended, { once: true })
  try {
    return await Promise.race([answer, over])
  } finally {
    clock.clearTimeout(timer)
    signal.removeEventListener('abort', ended)
  }
}

/** How a call ends that is not waited for any longer: as its signal says, which may also be that the server is draining. */
function endOf({ signal }: ServerCall): Status {
  const { reason } = signal
  return reason instanceof RpcError ? { code: reason.code, details: reason.details } : ANSWERS.cancelled
}

function tell({ onDecision, contained }: ServerAuthSettings, decision: Decision): void {
  if (onDecision !== undefined) contained.run('onDecision', () => onDecision(decision), decision.call)
}

const CALL_ENDED: unique symbol = Symbol('the call ended')

// One text for every reason a credential can fail: which one it was would help a caller that guesses.
const UNAUTHENTICATED: Status = { code: Code.UNAUTHENTICATED, details: 'No valid credentials' }

const ANSWERS: Readonly<Record<Refusal, Status>> = {
  missing: UNAUTHENTICATED,
  malformed: UNAUTHENTICATED,
  invalid: UNAUTHENTICATED,
  denied: { code: Code.PERMISSION_DENIED, details: 'Permission denied' },
  cancelled: { code: Code.CANCELLED, details: 'Cancelled' },
  limited: { code: Code.RESOURCE_EXHAUSTED, details: 'Too many failed attempts' },
  unavailable: { code: Code.UNAVAILABLE, details: 'Credentials cannot be verified at the moment' },
  internal: { code: Code.INTERNAL, details: 'Internal error' },
}
