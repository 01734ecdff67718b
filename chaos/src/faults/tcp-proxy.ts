import { connect, createServer, type Server, type Socket } from 'node:net'

export const disturbances = [
  'delay',
  'throttle',
  'cut',
  'half-close by client',
  'half-close by server',
  'reset',
  'blackhole',
  'corrupt',
] as const

export type Disturbance = (typeof disturbances)[number]

const DELAY_MS = 30
const THROTTLE_BYTES = 16 * 1024

/** Stands between clients and a server, and does to their connections what networks do. */
export class TcpProxy {
  readonly #server: Server
  readonly #links = new Set<Link>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(target: number): Promise<TcpProxy> {
    const server = createServer((client) => {
      const link = new Link(client, connect(target, '127.0.0.1'))
      proxy.#links.add(link)
      client.once('close', () => proxy.#links.delete(link))
    })
    const proxy = new TcpProxy(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') throw new Error('the proxy listens on no port')
    return bound.port
  }

  /** Does this to the connections there are; new ones are undisturbed. */
  disturb(what: Disturbance): void {
    for (const link of this.#links) link.disturb(what)
  }

  /** Breaks the connections that were disturbed. */
  heal(): void {
    for (const link of this.#links) if (link.disturbed) link.cut()
  }

  close(): void {
    for (const link of this.#links) link.cut()
    this.#server.close()
  }
}

/** One connection. */
class Link {
  disturbed = false
  #mode: Disturbance | undefined
  readonly #client: Socket
  readonly #server: Socket

  constructor(client: Socket, server: Socket) {
    this.#client = client
    this.#server = server
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.on('end', () => to.end())
      from.on('data', (chunk: Buffer) => this.#forward(chunk, from, to))
    }
  }

  disturb(what: Disturbance): void {
    this.disturbed = true
    if (what === 'cut') this.cut()
    else if (what === 'reset') {
      this.#client.resetAndDestroy()
      this.#server.resetAndDestroy()
    } else if (what === 'half-close by client') this.#server.end()
    else if (what === 'half-close by server') this.#client.end()
    else this.#mode = what
  }

  cut(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  #forward(chunk: Buffer, from: Socket, to: Socket): void {
    if (this.#mode === 'blackhole' || to.destroyed || to.writableEnded) return
    if (this.#mode === 'delay') {
      setTimeout(() => to.destroyed || to.writableEnded || to.write(chunk), DELAY_MS)
    } else if (this.#mode === 'throttle') {
      to.write(chunk)
      from.pause()
      setTimeout(() => from.resume(), Math.ceil((chunk.length / THROTTLE_BYTES) * 10))
    } else {
      if (this.#mode === 'corrupt') {
        const at = chunk.length >> 1
        chunk[at] = (chunk[at] ?? 0) ^ 0x55
        this.#mode = undefined
      }
      to.write(chunk)
    }
  }
}
