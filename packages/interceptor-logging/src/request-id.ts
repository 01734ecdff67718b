import type { Call, Interceptor, ServerCall } from '@grpc-stack/grpc-core'
import {
  contain,
  factory,
  flag,
  func,
  isThenable,
  named,
  OptionKind,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
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
  /** Told of each failure of `generate` and `accept`. Default: a process warning about the first of each. */
  readonly onFailure?: (error: unknown, where: 'accept' | 'generate') => void
}

/** What `requestId()` returns: an interceptor that tells how its options do. */
export interface RequestIdInterceptor extends Interceptor {
  /** How often `generate` or `accept` threw, or `generate` returned what is no id. No RPC noticed. */
  readonly failures: number
}

/** What may be an id: no white space, quotes, brackets or controls. */
const VALID = /^[A-Za-z0-9._:/+=@~-]{1,128}$/

const table = {
  header: new OptionKind(
    ['a text metadata key'],
    (value) => typeof value === 'string',
    (given: string, _place, refuse) => {
      const name = given.toLowerCase()
      if (!/^[0-9a-z_.-]+$/.test(name) || name.endsWith('-bin') || name.startsWith('grpc-')) throw refuse(given)
      return name
    },
  ).default('x-request-id'),
  generate: func<(call: Call) => string>().default(randomUuid),
  accept: flag()
    .or(func<(id: string, call: Call) => boolean>())
    .default(true)
    .refusingUndefined('leave it out to accept inbound ids'),
  onFailure: func<NonNullable<RequestIdOptions['onFailure']>>().optional(),
} satisfies OptionTable<RequestIdOptions>

/**
 * Gives each request an id that goes along with the request. On a server it takes the id that came with the call, or
 * makes one, and sends it back in the response metadata. On a client it sends the id the application set, else the id of the
 * request being handled, else a new one. In both cases the id is in `requestIdVar` from there on inwards.
 *
 *     createServer({ interceptors: [requestId(), logging()] })
 *     interceptChannel(channel, requestId(), logging())
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function requestId(options: RequestIdOptions = {}): RequestIdInterceptor {
  const { header, generate, accept, onFailure } = readOptions('requestId', options, table, { show: quoted })
  useRequestIds()

  const contained = contain<'accept' | 'generate'>('requestId', { onFailure, code: 'GRPC_STACK_OBSERVER' })
  const accepted = (id: unknown, call: Call): id is string => {
    if (typeof id !== 'string' || !VALID.test(id) || accept === false) return false
    if (accept === true) return true
    const said: unknown = contained.run('accept', () => accept(id, call), call)
    if (isThenable(said))
      contained.failed(new TypeError('it returned a promise; it must be synchronous'), 'accept', call)
    return said === true
  }
  const make = (call: Call): string => {
    let id: unknown
    try {
      id = generate(call)
      if (typeof id === 'string' && VALID.test(id)) return id
      if (isThenable(id)) id.then(undefined, () => undefined)
      throw new TypeError('it returned what is no id')
    } catch (error) {
      contained.failed(error, 'generate', call)
    }
    // An id is worth less than the call.
    return randomUuid()
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
factory('requestId', requestId)
