import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Peers, ServiceName } from '../services/service.ts'
import type { FromService, ToService } from './messages.ts'

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

  /** @param address to listen on again after a restart; a free port otherwise */
  static async start(
    name: ServiceName,
    peers: Peers,
    hear: (message: FromService) => void,
    address?: string,
  ): Promise<ServiceProcess> {
    const child = fork(program, [name], {
      env: { ...process.env, SHOP_PEERS: JSON.stringify(peers), ...(address && { SHOP_ADDRESS: address }) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const bound = await new Promise<string>((resolve, reject) => {
      child.on('message', (message: FromService) => {
        if (message.type === 'ready') resolve(message.address)
        else hear(message)
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => reject(new Error(`${name} ended at start with ${signal ?? code}`)))
    })
    return new ServiceProcess(name, bound, child)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Lets calls finish for up to `graceMs`, then ends. */
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
