import type { Parts } from './freeing-status.ts'
import { FreshSet } from './fresh-set.ts'

/** Replaces the set in which a connection of grpc-js has its calls (grpc-js 1.14, transport.ts: Http2Transport.activeCalls). */
export function renewCallsOf(transport: object, parts: Parts): void {
  const { activeCalls } = transport as { activeCalls?: unknown }
  if (!(activeCalls instanceof Set)) {
    parts.unknown('activeCalls', 'a connection of grpc-js keeps its calls in no set that is known')
    return
  }
  Object.assign(transport, { activeCalls: new FreshSet(activeCalls) })
  parts.active('activeCalls')
}
