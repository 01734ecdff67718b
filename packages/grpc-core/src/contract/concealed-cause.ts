/** As much of a status as this is about. */
interface WithCause {
  readonly cause?: unknown
}

/**
 * An error that stays in this process while the peer gets "Internal error". It counts how often it was looked at, so that one no
 * interceptor has looked at can be reported. Passing it on with another status means to look at it, too, and does not count.
 */
export class ConcealedCause {
  readonly error: unknown
  #looks = 0
  #passes = 0

  constructor(error: unknown) {
    this.error = error
  }

  get seen(): boolean {
    return this.#looks > this.#passes
  }

  look(): unknown {
    this.#looks++
    return this.error
  }

  pass(): void {
    this.#passes++
  }
}

const byStatus = new WeakMap<object, ConcealedCause>()
/** For statuses that an interceptor made of another. */
const byError = new WeakMap<object, ConcealedCause>()

/** Gives a status a cause that has to be looked at. */
export function concealCause<S extends object>(status: S, error: unknown): S {
  const concealed = new ConcealedCause(error)
  if (isObject(error)) byError.set(error, concealed)
  attach(status, concealed)
  return status
}

/** The concealed cause of a status, if it has one. */
export function concealedIn(status: WithCause): ConcealedCause | undefined {
  return byStatus.get(status)
}

/** The cause of a status, without having looked at it. */
export function causeWithin(status: WithCause): unknown {
  const concealed = byStatus.get(status)
  return concealed === undefined ? status.cause : concealed.error
}

/** An error that has the cause of a status: a status that is made of it has it, too. */
export function sameCause<E extends object>(error: E, status: WithCause): E {
  const concealed = byStatus.get(status)
  if (concealed !== undefined) byStatus.set(error, concealed)
  return error
}

/** Gives a status the cause of another. */
export function passCause(from: WithCause, to: WithCause): void {
  const own = byStatus.get(from)
  if (own !== undefined) {
    attach(to, own)
    return
  }
  const { cause } = from
  if (cause === undefined) return
  const concealed = isObject(cause) ? byError.get(cause) : undefined
  if (concealed === undefined) Object.defineProperty(to, 'cause', { ...PLAIN, value: cause })
  else {
    concealed.pass()
    attach(to, concealed)
  }
}

const PLAIN = { enumerable: true, configurable: true, writable: true } as const

function attach(status: object, concealed: ConcealedCause): void {
  byStatus.set(status, concealed)
  Object.defineProperty(status, 'cause', { enumerable: true, configurable: true, get: () => concealed.look() })
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
