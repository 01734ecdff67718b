/** Where a channel goes, as OpenTelemetry and gRPC's own metrics name it. */
export interface TargetNames {
  /** `server.address`: what the channel was configured with, never what it is connected to. */
  readonly address: string
  /** `server.port`. */
  readonly port: number | undefined
  /** `grpc.target`: the canonical URI. */
  readonly uri: string
}

const URI = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/]*)(?:\/|$))?(.*)$/i
/** Schemes of which gRPC has resolvers; `localhost:50051` is no URI of scheme `localhost`. */
const SCHEMES: ReadonlySet<string> = new Set(['dns', 'unix', 'unix-abstract', 'vsock', 'ipv4', 'ipv6', 'xds'])

/**
 * Reads a gRPC target, by OpenTelemetry's semantic conventions for gRPC (`server.address`) and gRFC A66 (`grpc.target`):
 *
 *     shop.internal:443                    shop.internal   443   dns:///shop.internal:443
 *     dns://1.2.3.4/shop.internal:443      shop.internal   443   dns://1.2.3.4/shop.internal:443
 *     unix:///run/shop.sock                /run/shop.sock        unix:///run/shop.sock
 *     ipv4:10.0.0.1:443,10.0.0.2:443       (all of it)           ipv4:///10.0.0.1:443,10.0.0.2:443
 */
export function readTarget(target: string): TargetNames {
  const match = URI.exec(target)
  const scheme = match?.[1]?.toLowerCase()
  const known = scheme !== undefined && (SCHEMES.has(scheme) || target.includes('://'))
  if (!known) return hostAndPort(target, `dns:///${target}`)
  const authority = match?.[2] ?? ''
  const path = match?.[3] ?? ''
  if (scheme === 'unix') {
    const file = path.startsWith('/') || match?.[2] === undefined ? path : `/${path}`
    return { address: file, port: undefined, uri: `unix://${file.startsWith('/') ? '' : '/'}${file}` }
  }
  const uri = `${scheme}://${authority}/${path.replace(/^\//, '')}`
  const single = scheme === 'dns' || ((scheme === 'ipv4' || scheme === 'ipv6') && !path.includes(','))
  return single ? hostAndPort(path.replace(/^\//, ''), uri) : { address: target, port: undefined, uri }
}

function hostAndPort(text: string, uri: string): TargetNames {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const address = bracketed ?? plain
  // An IPv6 address without brackets has no port.
  if (address === undefined) return { address: text, port: undefined, uri }
  return { address, port: port === undefined ? undefined : Number(port), uri }
}
