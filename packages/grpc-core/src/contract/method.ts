/** The four kinds of RPC; `unknown` for an unregistered method, because a request does not tell its kind. */
export type Pattern = 'unary' | 'clientStream' | 'serverStream' | 'bidi' | 'unknown'

/** What an RPC calls. Frozen, and one object per path within a stack, so it can key a `WeakMap`. */
export interface MethodInfo {
  /** `/package.Service/Method` */
  readonly path: string
  /** `package.Service` */
  readonly service: string
  /** `Method` */
  readonly name: string
  readonly pattern: Pattern
  readonly requestStream: boolean
  readonly responseStream: boolean
  /** False on a server for a path without a handler. Callers invent such methods without end: do not cache by them. */
  readonly registered: boolean
}

const PATTERNS = { '00': 'unary', '10': 'clientStream', '01': 'serverStream', '11': 'bidi' } as const

export function describeMethod(
  path: string,
  requestStream: boolean,
  responseStream: boolean,
  registered = true,
): MethodInfo {
  // A caller can send a path of any shape: `/`, `//x`, `no-slash`. The last slash separates, as in gRPC over HTTP/2.
  const slash = path.lastIndexOf('/')
  const key = `${requestStream ? 1 : 0}${responseStream ? 1 : 0}` as keyof typeof PATTERNS
  return Object.freeze({
    path,
    service: slash > 0 ? path.slice(path.startsWith('/') ? 1 : 0, slash) : '',
    name: path.slice(slash + 1),
    pattern: registered ? PATTERNS[key] : 'unknown',
    requestStream,
    responseStream,
    registered,
  })
}
