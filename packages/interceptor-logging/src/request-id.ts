import type { Call, Interceptor, ServerCall } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { Containment } from './containment.ts'
import { checkNames } from './options.ts'
import { randomUuid } from './random-uuid.ts'
import { requestIdVar, useRequestIds } from './request-id-var.ts'

export interface RequestIdOptions {
  /** Metadata key. Default: `x-request-id`. */
  readonly header?: string
  /** Makes an id. What it returns must pass the limits below, or a random UUID takes its place. Default: a random UUID. */
  readonly generate?: (call: Call) => string
  /**
   * Whether to take an id that came with the call: false for a server that strangers can reach and that wants ids of its
   * own, or a function that says which. Whatever it says, an id has 1 to 128 characters, of `A-Z a-z 0-9 . _ : / + = @ ~ -`,
   * and comes once: longer ones bloat logs and other characters forge them. Default: true.
   */
  readonly accept?: boolean | ((id: string, call: Call) => boolean)
  /** Told of each failure of `generate` and `accept`. Default: a process warning about the first. */
  readonly onFailure?: (error: unknown, where: 'accept' | 'generate') => void
}

/** What `requestId()` returns: an interceptor that tells how its options do. */
export interface RequestIdInterceptor extends Interceptor {
  /** How often `generate` or `accept` threw, or `generate` returned what is no id. No RPC noticed. */
  readonly failures: number
}

/** What may be an id: no white space, quotes, brackets or controls. */
const VALID = /^[A-Za-z0-9._:/+=@~-]{1,128}$/

/**
 * Gives each request an id that goes wherever the request goes. On a server it takes the id that came with the call, or
 * makes one, and sends it back in the response metadata. On a client it sends the id the application set, else the id of the
 * request being handled, else a new one. In both cases the id is in `requestIdVar` from there on inwards.
 *
 *     createServer({ interceptors: [requestId(), logging()] })
 *     interceptChannel(channel, requestId(), logging())
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function requestId(options: RequestIdOptions = {}): RequestIdInterceptor {
  checkNames('requestId', options, ['header', 'generate', 'accept', 'onFailure'])
  const { generate = randomUuid, accept = true } = options
  const header = checkHeader(options.header ?? 'x-request-id')
  if (typeof generate !== 'function') throw new TypeError('requestId: option "generate" must be a function')
  if (typeof accept !== 'boolean' && typeof accept !== 'function') {
    throw new TypeError(`requestId: option "accept" must be true, false or a function, got ${String(accept)}`)
  }
  if (options.onFailure !== undefined && typeof options.onFailure !== 'function') {
    throw new TypeError('requestId: option "onFailure" must be a function')
  }
  useRequestIds()

  const contained = new Containment<'accept' | 'generate'>('requestId', options.onFailure)
  const accepted = (id: unknown, call: Call): id is string => {
    if (typeof id !== 'string' || !VALID.test(id) || accept === false) return false
    return accept === true || contained.run('accept', () => accept(id, call)) === true
  }
  const make = (call: Call): string => {
    const id: unknown = contained.run('generate', () => {
      const made: unknown = generate(call)
      if (typeof made !== 'string' || !VALID.test(made)) throw new TypeError('it returned what is no id')
      return made
    })
    // An id is worth less than the call.
    return typeof id === 'string' ? id : randomUuid()
  }
  const interceptor: Interceptor = (call, next) => {
    const given = call.metadata.get(header)
    const came = given.length === 1 ? given[0] : undefined
    let id: string
    if (call.side === 'server') id = accepted(came, call) ? came : make(call)
    else if (typeof came === 'string' && VALID.test(came)) id = came
    else {
      const current = call.context.get(requestIdVar)
      id = current !== undefined && VALID.test(current) ? current : make(call)
    }
    call.context.set(requestIdVar, id)
    if (came !== id) call.metadata.set(header, id)
    // side tells the two apart, but the types of Call do not know.
    if (call.side === 'server') (call as ServerCall).responseMetadata.set(header, id)
    return next()
  }
  return Object.defineProperty(named('requestId', interceptor), 'failures', {
    get: () => contained.failures,
  }) as RequestIdInterceptor
}

function checkHeader(header: unknown): string {
  const name = typeof header === 'string' ? header.toLowerCase() : ''
  if (!/^[0-9a-z_.-]+$/.test(name) || name.endsWith('-bin') || name.startsWith('grpc-')) {
    throw new TypeError(`requestId: option "header" must be a text metadata key, got ${JSON.stringify(header)}`)
  }
  return name
}
