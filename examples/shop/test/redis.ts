import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @param program `redis-server` or `redis-sentinel`, which Debian has in packages of these names */
export const redisIsInstalled = (program = 'redis-server'): boolean =>
  spawnSync(program, ['--version']).error === undefined

/** A Redis of the test's own, with nothing in it. */
export class RedisServer {
  readonly url: string
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor(port: number) {
    this.url = `redis://127.0.0.1:${port}`
    this.#folder = mkdtempSync(join(tmpdir(), 'shop-redis-'))
    const settings = ['--bind', '127.0.0.1', '--save', '', '--dir', this.#folder]
    this.#child = spawn('redis-server', ['--port', String(port), ...settings], { stdio: 'ignore' })
  }

  static async start(): Promise<RedisServer> {
    const port = await freePort()
    const server = new RedisServer(port)
    while (!(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 20))
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill()
      await once(this.#child, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
