import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TestMessage } from '@grpc-stack/grpc-testing'

type Told =
  | { readonly event: 'listening'; readonly port: number }
  | { readonly event: 'call'; readonly previous: readonly string[] }
  | { readonly event: 'request'; readonly message: TestMessage }
  | { readonly event: 'drained' | 'failed' }

const SCRIPT = fileURLToPath(new URL('./server-process.mjs', import.meta.url))

/**
 * A port below those the system gives to outgoing connections. One of theirs may be taken while its server is away, even by
 * a client that tries to reach it there.
 */
function durablePort(): number {
  return 10_000 + Math.floor(Math.random() * 20_000)
}

/** A server in a process of its own, and all it has told. */
export class ServerProcess {
  readonly port: number
  readonly told: Told[] = []
  readonly #child: ChildProcess
  #watchers: (() => void)[] = []

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
    child.on('message', (event: Told) => {
      this.told.push(event)
      for (const watcher of this.#watchers.splice(0)) watcher()
    })
  }

  /** @param port of a server that is gone, to take its place; default: a free one */
  static async start(port?: number): Promise<ServerProcess> {
    for (let tries = 1; ; tries++) {
      const child = fork(SCRIPT, [String(port ?? durablePort())], { execArgv: [] })
      const [first] = (await once(child, 'message')) as [Told]
      if (first.event === 'listening') return new ServerProcess(child, first.port)
      child.kill('SIGKILL')
      if (port !== undefined || tries === 20) throw new Error(`the server did not start: ${JSON.stringify(first)}`)
    }
  }

  /** The attempts that reached it: for each, what it said of the ones before. */
  get attempts(): readonly (readonly string[])[] {
    return this.told.flatMap((told) => (told.event === 'call' ? [told.previous] : []))
  }

  /** The texts of the requests it has read. */
  get texts(): readonly (string | undefined)[] {
    return this.told.flatMap((told) => (told.event === 'request' ? [told.message.text] : []))
  }

  /** Waits until it has told enough. */
  async until(enough: () => boolean): Promise<void> {
    while (!enough()) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  send(command: 'half-close' | 'drain'): void {
    this.#child.send(command)
  }

  /** SIGSTOP and SIGCONT: the process hangs, its connections stay. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
