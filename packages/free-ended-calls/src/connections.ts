import type { GrpcJsCopy } from './grpc-js-copies.ts'

/** Calls `tend` with each connection that the channels of a copy of grpc-js make. False if it does so in no known way. */
export function onClientConnection({ connector }: GrpcJsCopy, tend: (transport: object) => void): boolean {
  return wrap(connector, 'connect', (result) => {
    if (!(result instanceof Promise)) return result
    return result.then((transport) => {
      tend(transport as object)
      return transport
    })
  })
}

/** Calls `tend` with each HTTP/2 session of the servers of a copy of grpc-js. False if they make theirs in no known way. */
export function onServerSession({ server }: GrpcJsCopy, tend: (session: object) => void): boolean {
  return wrap(server, 'createHttp2Server', (http2Server) => {
    const { on } = http2Server as { on?: unknown }
    if (typeof on === 'function') Reflect.apply(on, http2Server, ['session', tend])
    return http2Server
  })
}

function wrap(prototype: object | undefined, name: string, then: (result: unknown) => unknown): boolean {
  const property = prototype && Object.getOwnPropertyDescriptor(prototype, name)
  const original: unknown = property?.value
  if (prototype === undefined || typeof original !== 'function' || !property?.writable) return false
  Object.defineProperty(prototype, name, {
    ...property,
    value(this: unknown, ...args: unknown[]): unknown {
      return then(Reflect.apply(original, this, args))
    },
  })
  return true
}
