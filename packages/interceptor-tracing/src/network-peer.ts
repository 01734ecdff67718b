import { isIP } from 'node:net'
import type { HostAddress } from './server-address.ts'

/**
 * `network.peer.address` and `network.peer.port` of what `call.peer()` says, or undefined where that is no address of a
 * connection: `unknown`, or the target of a channel that never connected.
 */
export function networkPeer(peer: string): HostAddress | undefined {
  if (peer.startsWith('/')) return { address: peer }
  const colon = peer.lastIndexOf(':')
  const port = peer.slice(colon + 1)
  if (colon > 0 && /^\d{1,5}$/.test(port)) {
    // grpc-js writes `[::1]:5000` on the client; remoteAddress and remotePort joined give `::1:5000`.
    const address = peer.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
    if (isIP(address) !== 0) return { address, port: Number(port) }
  }
  return isIP(peer) === 0 ? undefined : { address: peer }
}
