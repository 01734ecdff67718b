import { BlockList, isIP, isIPv4 } from 'node:net'

/** What grpc-js says of the other side, without the port: `10.0.0.7:53110` and `::1:53110` become `10.0.0.7` and `::1`. */
export function withoutPort(peer: string): string {
  // grpc-core writes an IPv6 address without brackets, so what follows the last colon is the port.
  const colon = peer.lastIndexOf(':')
  const host = colon > 0 ? peer.slice(0, colon) : peer
  if (host.startsWith('::ffff:') && isIPv4(host.slice(7))) return host.slice(7)
  return host
}

/** An address as a proxy writes it, port and brackets removed, or undefined when it is none. */
export function parseForwarded(text: string): string | undefined {
  let address = text.trim()
  if (address.startsWith('[')) {
    const end = address.indexOf(']')
    if (end < 0 || !/^(:\d{1,5})?$/.test(address.slice(end + 1))) return undefined
    address = address.slice(1, end)
  } else if (/^[\d.]+:\d{1,5}$/.test(address)) {
    address = address.slice(0, address.indexOf(':'))
  }
  const zone = address.indexOf('%')
  if (zone > 0) address = address.slice(0, zone)
  if (address.toLowerCase().startsWith('::ffff:') && isIPv4(address.slice(7))) address = address.slice(7)
  return isIP(address) === 0 ? undefined : address
}

/**
 * One spelling for all addresses of an IPv6 network, so that a caller who has 2^64 addresses is one caller:
 * `2001:db8:0:1:0:0:0:0/64`. Everything else comes back as it is, and so do IPv4 addresses in IPv6 spelling: the networks
 * ::ffff:0:0/96 (RFC 4291) and 64:ff9b::/96 (RFC 6052) hold all of IPv4.
 */
export function networkOf(address: string, ipv6Prefix: number): string {
  if (!address.includes(':')) return address
  const groups = groupsOf(address)
  if (groups === undefined) return address
  const head = groups.slice(0, 6).join(':')
  if (head === MAPPED_IPV4 || head === TRANSLATED_IPV4) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  }
  const kept = groups.map((group, i) => {
    const bits = Math.min(16, Math.max(0, ipv6Prefix - i * 16))
    return (group & (0xffff << (16 - bits)) & 0xffff).toString(16)
  })
  return ipv6Prefix >= 128 ? kept.join(':') : `${kept.join(':')}/${ipv6Prefix}`
}

const MAPPED_IPV4 = [0, 0, 0, 0, 0, 0xffff].join(':')
const TRANSLATED_IPV4 = [0x64, 0xff9b, 0, 0, 0, 0].join(':')

function groupsOf(address: string): number[] | undefined {
  if (isIP(address) !== 6) return undefined
  const parse = (part: string | undefined): number[] =>
    (part ?? '')
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => {
        if (!group.includes('.')) return [Number.parseInt(group, 16)]
        const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
        return [a * 256 + b, c * 256 + d]
      })
  const [before, after] = address.split('::')
  const head = parse(before)
  const tail = parse(after)
  return [...head, ...new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail]
}

/**
 * Whether an address is one of these addresses and networks (`10.0.0.0/8`, `fd00::/8`, `127.0.0.1`).
 * @throws TypeError for an entry that is neither
 */
export function addressMatcher(list: readonly string[], where: string): (address: string) => boolean {
  const blocks = new BlockList()
  for (const [i, entry] of list.entries()) {
    const [address = '', prefix, ...rest] = typeof entry === 'string' ? entry.split('/') : []
    const version = isIP(address)
    const bits = prefix === undefined ? undefined : Number(prefix)
    const longest = version === 4 ? 32 : 128
    const valid = version !== 0 && rest.length === 0 && prefix !== ''
    if (!valid || (bits !== undefined && !(Number.isInteger(bits) && bits >= 0 && bits <= longest))) {
      throw new TypeError(`${where}[${i}] must be an address or a network such as "10.0.0.0/8", got "${entry}"`)
    }
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (bits === undefined) blocks.addAddress(address, family)
    else blocks.addSubnet(address, bits, family)
  }
  return (address) => {
    const version = isIP(address)
    return version !== 0 && blocks.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}
