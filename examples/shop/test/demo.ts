import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
/** What `npm run demo` runs: it starts what the demo counts in or asks, where that is wanted. */
export const npmRunDemo = fileURLToPath(new URL('../../../scripts/demo.mjs', import.meta.url))

const NOTHING_ELSEWHERE = {
  REDIS_URL: '',
  REDIS_CLUSTER: '',
  REDIS_SENTINELS: '',
  SHOP_WORKERS: '',
  RATE_LIMIT_SERVICE: '',
  EXT_AUTHZ: '',
  OTEL_EXPORTER_OTLP_ENDPOINT: '',
}

/** The demo as its users run it, in a process group of its own. */
export class Demo {
  readonly #child: ChildProcess
  #output = ''
  #errors = ''

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, program = main) {
    this.#child = spawn(process.execPath, [program, ...args], {
      // What the test's own environment says must not decide where the demo counts and exports.
      env: { ...process.env, ...NOTHING_ELSEWHERE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child.stdout?.on('data', (chunk) => {
      this.#output += chunk
    })
    this.#child.stderr?.on('data', (chunk) => {
      this.#errors += chunk
    })
  }

  get output(): string {
    return this.#output
  }

  get errors(): string {
    return this.#errors
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves when the output matches. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#output)
      if (found) return found
      if (this.#child.exitCode !== null) throw new Error(`the demo ended: ${this.#output}${this.#errors}`)
      await Promise.race([once(this.#child.stdout!, 'data'), once(this.#child, 'exit')])
    }
  }

  /** Resolves to the exit code, or the signal it was ended by. */
  async ended(): Promise<number | string | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close')
    return this.#child.exitCode ?? this.#child.signalCode
  }

  /** Ctrl-C in a terminal: everybody in the group gets it. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT')
  }

  /** This process alone, with no chance to do anything. */
  kill(): void {
    process.kill(this.pid, 'SIGKILL')
  }

  /** Whether any process of the group is still there. */
  get alive(): boolean {
    try {
      process.kill(-this.pid, 0)
      return true
    } catch {
      return false
    }
  }

  /** Waits until no process of the group is left. */
  async gone(withinMs = 5000): Promise<boolean> {
    const end = performance.now() + withinMs
    while (this.alive && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20))
    return !this.alive
  }

  /** Leaves nothing behind. For the end of a test, whatever became of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.alive) process.kill(-this.pid, 'SIGKILL')
    await this.ended()
  }
}
