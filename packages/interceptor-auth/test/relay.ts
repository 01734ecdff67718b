import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What connects to a server from another address of this machine, such as `127.0.0.2`. */
export interface Relay {
  readonly address: string
  close(): void
}

/** Passes connections on to `target`, which sees them come from `localAddress`. */
export async function relayFrom(localAddress: string, target: string): Promise<Relay> {
  const [host = '', port] = target.split(':')
  const sockets = new Set<Socket>()
  const server = createServer((inbound) => {
    const outbound = connect({ host, port: Number(port), localAddress })
    for (const [socket, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
