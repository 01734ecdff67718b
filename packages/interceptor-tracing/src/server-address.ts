/** A host and, where it is known, a port. A path or a whole target string has no port. */
export interface HostAddress {
  readonly address: string
  readonly port?: number
}

/**
 * `server.address` and `server.port` of a client: from the target the channel was configured with, never from the
 * connection (OpenTelemetry semantic conventions, RPC: gRPC).
 *
 * | target | address | port |
 * |---|---|---|
 * | `grpc.io:50051`, `dns:grpc.io:50051`, `dns://1.2.3.4/grpc.io:50051` | `grpc.io` | 50051 |
 * | `unix:/run/app.sock`, `unix:///run/app.sock` | `/run/app.sock` | |
 * | `ipv4:198.51.100.1:50051` | `198.51.100.1` | 50051 |
 * | several addresses, any other scheme | the whole target | |
 */
export function serverOfTarget(target: string): HostAddress {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/.exec(target) ?? []
  if (scheme === undefined || rest === undefined) return splitHost(target)
  switch (scheme) {
    case 'dns':
      return splitHost(rest.replace(/^\/\/[^/]*\//, ''))
    case 'unix':
      return { address: rest.replace(/^\/\/[^/]*(?=\/)/, '') }
    case 'ipv4':
    case 'ipv6':
      return rest.includes(',') ? { address: target } : splitHost(rest)
    default:
      // `localhost:50051` looks like a scheme too.
      return /^\d+$/.test(rest) ? splitHost(target) : { address: target }
  }
}

/** Splits `host:port`, `[v6]:port`, `host` or a bare IPv6 address. */
export function splitHost(text: string): HostAddress {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(text)
  if (bracketed) return withPort(bracketed[1] ?? '', bracketed[2])
  const colon = text.indexOf(':')
  if (colon < 0 || text.includes(':', colon + 1)) return { address: text }
  const port = text.slice(colon + 1)
  return /^\d+$/.test(port) ? withPort(text.slice(0, colon), port) : { address: text }
}

function withPort(address: string, port: string | undefined): HostAddress {
  return port === undefined ? { address } : { address, port: Number(port) }
}
