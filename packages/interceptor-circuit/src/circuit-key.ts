/**
 * The keys of circuits, in the one form in which they are kept: `host:port/package.Service`, or `/Method` behind it.
 *
 * grpc-js tells the target of a channel as `dns:catalog:50051`, and people write `catalog:50051`, `dns:///catalog:50051` or
 * `CATALOG:50051`: all of these are one key.
 *
 *     written                                  kept
 *     ───────────────────────────────────────  ─────────────────────
 *     catalog:50051, dns:catalog:50051,        catalog:50051
 *     dns:///catalog:50051, Catalog:50051
 *     catalog, dns:catalog                     catalog:443
 *     ipv4:10.0.0.1:50051, 10.0.0.1:50051      10.0.0.1:50051
 *     ipv6:[::1]:50051, [::1]:50051            [::1]:50051
 *     ::1                                      [::1]:443
 *     unix:/run/a.sock, unix:///run/a.sock     unix:/run/a.sock
 *     any other                                as it is
 */
export type KeyShape = 'service' | 'method'

/** The key of a call. Without a target, on a stub with a channel of its own, the service or path alone. */
export function keyOf(target: string | undefined, path: string): string {
  return target === undefined ? path : `${normalTarget(target)}/${path}`
}

/** A key as it is kept, of one that a person wrote. */
export function normalKey(written: string, shape: KeyShape): string {
  const trimmed = written.startsWith('/') ? written.slice(1) : written
  const segments = trimmed.split('/')
  const ofPath = shape === 'method' ? 2 : 1
  const target = segments.slice(0, -ofPath).join('/')
  return target === '' ? trimmed : keyOf(target, segments.slice(-ofPath).join('/'))
}

export function normalTarget(target: string): string {
  const address = withoutScheme(target)
  if (address !== undefined) return normalAddress(address)
  return target.replace(/^unix:\/\/\//i, 'unix:/')
}

/** The address of a target whose scheme says no more than the address; undefined for others. */
function withoutScheme(target: string): string | undefined {
  const direct = /^(?:dns|ipv4|ipv6):(?:\/\/\/)?([^/,]*)$/i.exec(target)
  if (direct !== null) return direct[1]
  return ADDRESS.test(target) ? target : undefined
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. A scheme of another kind has no port behind it. */
const ADDRESS = /^(?:\[[\da-f:.]+\](?::\d+)?|[^:/,[\]]+(?::\d+)?|[\da-f]*:[\da-f:.]*:[\da-f:.]*)$/i

/** grpc-js (resolver-dns.ts) takes this port where none is given. */
const DEFAULT_PORT = 443

function normalAddress(address: string): string {
  const lower = address.toLowerCase()
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d+))?$/.exec(lower)
  if (parts !== null) return `${parts[1]}:${parts[2] ?? DEFAULT_PORT}`
  return `[${lower}]:${DEFAULT_PORT}`
}
