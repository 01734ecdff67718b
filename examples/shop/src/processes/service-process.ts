import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ServiceName } from '../services/service.ts'
import type { Report } from '../telemetry/facts.ts'
import type { FromService, Setup, ToService } from './messages.ts'

const program = fileURLToPath(new URL('./run-service.js', import.meta.url))

/** A service in a process of its own. It ends when this process does, however that happens. */
export class ServiceProcess {
  readonly name: ServiceName
  readonly address: string
  readonly #child: ChildProcess

  private constructor(name: ServiceName, address: string, child: ChildProcess) {
    this.name = name
    this.address = address
    this.#child = child
  }

  /** Resolves when the service is listening. @param report hears what the service tells about itself */
  static async start(name: ServiceName, setup: Setup, report: Report): Promise<ServiceProcess> {
    const child = fork(program, [name], {
      env: { ...process.env, SHOP_SETUP: JSON.stringify(setup) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const address = await new Promise<string>((resolve, reject) => {
      child.on('message', (message: FromService) => {
        if (message.type === 'ready') resolve(message.address)
        else report(message)
      })
      child.once('error', reject)
      child.once('exit', (code, signal) =>
        reject(new Error(`${name} ended with ${signal ?? code} before it was ready`)),
      )
    })
    return new ServiceProcess(name, address, child)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Lets calls finish for up to `graceMs` milliseconds, then ends. */
  async drain(graceMs: number): Promise<void> {
    const message: ToService = { type: 'drain', graceMs }
    if (this.running && this.#child.connected) this.#child.send(message)
    await this.#ended(graceMs + 2000)
  }

  /** Ends at once, as in a crash. */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL')
    await this.#ended(2000)
  }

  async #ended(withinMs: number): Promise<void> {
    if (!this.running) return
    const giveUp = setTimeout(() => this.#child.kill('SIGKILL'), withinMs)
    await once(this.#child, 'exit')
    clearTimeout(giveUp)
  }
}
