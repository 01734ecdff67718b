import type { Gate } from './gate.ts'
import type { EndStatus, ServerRpc } from './server-rpc.ts'

/** What the test server does with an RPC. Started when the handler is; a behaviour may be over before the RPC is. */
export type Behaviour = (rpc: ServerRpc) => void | Promise<void>

/**
 * Unary: the request comes back. Client stream: `n` requests and their texts joined. Server stream: as many messages as
 * the request's `n` says, numbered from 0, with its text and data. Bidi: each request comes back as it arrives.
 */
export const echo: Behaviour = async (rpc) => {
  switch (rpc.pattern) {
    case 'unary':
      await rpc.write((await rpc.read()) ?? {})
      break
    case 'clientStream': {
      const requests = await rpc.readAll()
      await rpc.write({ n: requests.length, text: requests.map(({ text }) => text ?? '').join('') })
      break
    }
    case 'serverStream': {
      const request = (await rpc.read()) ?? {}
      for (let n = 0; n < (request.n ?? 0) && !rpc.isClosed; n++) await rpc.write({ ...request, n })
      break
    }
    case 'bidi':
      for (let message = await rpc.read(); message !== undefined; message = await rpc.read()) await rpc.write(message)
  }
  rpc.end()
}

/** Ends with this status at once and reads nothing. */
export function endWith(status: EndStatus): Behaviour {
  return (rpc) => rpc.end(status)
}

/** Does nothing until the gate is open. */
export function heldBy(gate: Gate, then: Behaviour = echo): Behaviour {
  return async (rpc) => {
    await gate.opened
    await then(rpc)
  }
}

/** Does nothing at all: the test takes the RPC from `server.received(n)` and plays the handler itself. */
export const manual: Behaviour = () => undefined
