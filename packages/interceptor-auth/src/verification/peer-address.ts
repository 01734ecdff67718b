import { isIPv6 } from 'node:net'
import type { ServerCall } from '@grpc-stack/grpc-core'

/**
 * Whose limits a call counts against: the address of its peer without the port, and of an IPv6 address the /64, since a
 * subscriber has at least one of them and may call from any of its 2^64 addresses.
 *
 *     10.0.0.7:53110                10.0.0.7
 *     ::ffff:10.0.0.7:53110         10.0.0.7
 *     2001:db8:0:1:2:3:4:5:53110    2001:db8:0:1::/64
 */
export function peerAddress(call: ServerCall): string {
  // grpc-core writes an IPv6 address without brackets: what follows the last colon is the port.
  const address = call.peer().replace(/:\d+$/, '')
  if (!address.includes(':')) return address
  const [bare = ''] = address.split('%') // fe80::1%eth0
  return isIPv6(bare) ? network(bare) : address
}

function network(address: string): string {
  const [before = '', after] = address.split('::')
  const head = groups(before)
  const tail = groups(after ?? '')
  const all = [...head, ...new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail]
  const [high = 0, low = 0] = all.slice(6)
  const mapped = all.slice(0, 5).every((group) => group === 0) && all[5] === 0xffff
  if (mapped) return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  return `${all
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

function groups(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}
