import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** Why tests with Redis cannot run here, or undefined. */
export const redisMissing: string | undefined =
  spawnSync('redis-server', ['--version']).status === 0
    ? undefined
    : 'redis-server is not on the PATH; install it with: apt-get install redis-server'

const running = new Set<ChildProcess>()
// Also when the test that started one did not come to its end.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A Redis of the test's own, on a free port of 127.0.0.1, that can be stopped, hung and started again. */
export class RedisServer implements AsyncDisposable {
  readonly port: number
  readonly #args: readonly string[]
  readonly #dir = mkdtempSync(join(tmpdir(), 'grpc-stack-redis-'))
  #process: ChildProcess | undefined

  private constructor(port: number, args: readonly string[]) {
    this.port = port
    this.#args = args
  }

  static async start(...args: readonly string[]): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new RedisServer(somePort(), args)
      try {
        await server.start()
        return server
      } catch (error) {
        await server[Symbol.asyncDispose]()
        if (attempt === 10 || !String(error).includes('Address already in use')) throw error
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Starts it again, empty. */
  async start(): Promise<void> {
    const options = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      this.#dir,
      ...this.#args,
    ]
    const child = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    let log = ''
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        log += chunk.toString()
        if (log.includes('Ready to accept connections')) resolve()
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${log}`)))
    })
  }

  /** Ends it as a crash would. */
  async stop(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  /** Sets an option of the running server. */
  async configure(option: string, value: string): Promise<void> {
    const client = new Redis(this.port)
    await client.config('SET', option, value)
    client.disconnect()
  }

  /** It accepts connections and answers nothing. */
  hang(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/**
 * Below the ports the system hands out: a client that keeps connecting to one of those while nobody listens ends up
 * connected to itself, and the server cannot have its port back.
 */
function somePort(): number {
  return 15_000 + Math.floor(Math.random() * 15_000)
}
