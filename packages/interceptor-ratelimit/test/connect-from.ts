import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Elsewhere extends AsyncDisposable {
  readonly address: string
}

/** A way to a server of this machine on which it sees another address of the loopback network as its peer. */
export async function connectFrom(localAddress: string, target: string): Promise<Elsewhere> {
  const [host = '', port] = target.split(':')
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket.on('error', () => socket.destroy()))
    return socket
  }
  const relay = createServer((from) => {
    const to = keep(connect({ host, port: Number(port), localAddress }))
    keep(from).pipe(to).pipe(from)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => relay.close(resolve))
    },
  }
}
