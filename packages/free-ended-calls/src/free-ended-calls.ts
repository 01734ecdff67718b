import { renewCallsOf } from './active-calls.ts'
import { bindRequestsOf, installBind } from './bound-requests.ts'
import { onClientConnection, onServerSession } from './connections.ts'
import { type FreeingStatus, Parts } from './freeing-status.ts'
import { type GrpcJsCopy, grpcJsCopies } from './grpc-js-copies.ts'
import { switchPretenuringOff } from './pretenuring.ts'
import { renewStreamsOf } from './session-streams.ts'

export interface FreeEndedCallsOptions {
  /**
   * Switch V8's allocation-site pretenuring off, where that is known to help (Node 24 to 26). It is a flag of the whole
   * process, so `false` leaves it alone for the sake of other code. Default: true.
   */
  readonly pretenuring?: boolean
}

/**
 * Has the calls of grpc-js that have ended freed by minor garbage collections, which Node and grpc-js prevent by themselves.
 * Call it before the first channel or server is made: connections that exist by then stay as they are. Calling it again adds
 * copies of grpc-js that were loaded meanwhile, and changes nothing else.
 *
 * It looks at what it is about to change first. Where that is not what it knows it changes nothing, and says so once in a process
 * warning. The environment variable `GRPC_STACK_FREE_ENDED_CALLS=off` has it do nothing at all.
 *
 *     freeEndedCalls()
 *     freeEndedCalls({ pretenuring: false })
 *
 * @throws TypeError for options that are unknown or of another type.
 */
export function freeEndedCalls(options: FreeEndedCallsOptions = {}): FreeingStatus {
  const pretenuring = readOptions(options)
  const reason = whyNot()
  if (reason !== undefined) return new Parts(reason).now
  const installed = installation()
  if (installed === undefined) {
    const parts = new Parts('no copy of grpc-js was found')
    installBind(parts)
    parts.waiting('sessionStreams')
    parts.waiting('activeCalls')
    if (pretenuring) switchPretenuringOff(parts)
    else parts.off('pretenuring', 'by option')
    install({ parts, cover: (copies) => cover(parts, copies) })
  }
  const { parts, cover: coverMore } = installation() as Installation
  coverMore(grpcJsCopies())
  return parts.now
}

/** What is changed in this process at this moment. */
export function status(): FreeingStatus {
  return installation()?.parts.now ?? new Parts(whyNot() ?? 'freeEndedCalls() was not called').now
}

function readOptions(options: FreeEndedCallsOptions): boolean {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError('freeEndedCalls: the options must be an object, for instance { pretenuring: false }')
  }
  for (const name of Object.keys(options)) {
    if (name !== 'pretenuring') throw new TypeError(`freeEndedCalls: unknown option "${name}"; there is: pretenuring`)
  }
  const { pretenuring = true } = options
  if (typeof pretenuring !== 'boolean') {
    throw new TypeError('freeEndedCalls: option "pretenuring" must be true or false')
  }
  return pretenuring
}

const SWITCH = 'GRPC_STACK_FREE_ENDED_CALLS'

function whyNot(): string | undefined {
  const value = process.env[SWITCH]?.toLowerCase()
  if (value === 'off' || value === '0' || value === 'false') return `switched off by ${SWITCH}`
  for (const other of ['bun', 'deno']) if (other in process.versions) return `of no use on ${other}`
  return undefined
}

/** One per process (and worker), whichever copy of this package made it. */
interface Installation {
  readonly parts: Parts
  cover(copies: readonly GrpcJsCopy[]): void
}

const INSTALLATION: unique symbol = Symbol.for('@grpc-stack/free-ended-calls.1')

function installation(): Installation | undefined {
  return (globalThis as { [INSTALLATION]?: Installation })[INSTALLATION]
}

function install(made: Installation): void {
  Object.defineProperty(globalThis, INSTALLATION, { value: made })
}

function cover(parts: Parts, copies: readonly GrpcJsCopy[]): void {
  for (const copy of copies) {
    if (parts.grpcJs.includes(copy.folder)) continue
    parts.grpcJs.push(copy.folder)
    const clients = onClientConnection(copy, (transport) => freeClientCalls(transport, parts))
    const servers = onServerSession(copy, (session) => renewStreamsOf(session, parts))
    if (!clients)
      parts.unknown('activeCalls', `grpc-js in ${copy.folder} makes its connections in no way that is known`)
    if (!servers) parts.unknown('sessionStreams', `grpc-js in ${copy.folder} makes its servers in no way that is known`)
  }
}

function freeClientCalls(transport: object, parts: Parts): void {
  const { session } = transport as { session?: { request(...args: unknown[]): unknown } }
  if (typeof session?.request !== 'function') {
    parts.unknown('boundRequests', 'a connection of grpc-js has no HTTP/2 session that is known')
    return
  }
  renewCallsOf(transport, parts)
  renewStreamsOf(session, parts)
  if (parts.now.boundRequests.state !== 'off') bindRequestsOf(session, parts)
}
