import type { Observation } from '../interceptors/observe.ts'
import type { Peers, ServiceName } from '../services/service.ts'
import type { FromService } from './messages.ts'
import { ServiceProcess } from './service-process.ts'

type Seen = Observation & { readonly service: ServiceName }

/** The four services, each in a process of its own. */
export class Shop {
  readonly #processes = new Map<ServiceName, ServiceProcess>()
  readonly #seen: Seen[] = []

  /** Starts the services, each after those it calls. */
  async open(): Promise<void> {
    await Promise.all([this.start('inventory'), this.start('payments')])
    await this.start('orders')
    await this.start('storefront')
  }

  /** Starts a service, or starts it again where it was. */
  async start(name: ServiceName): Promise<void> {
    const before = this.#processes.get(name)
    if (before?.running) return
    const started = await ServiceProcess.start(name, this.#peers(), (message) => this.#hear(message), before?.address)
    this.#processes.set(name, started)
  }

  service(name: ServiceName): ServiceProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new Error(`shop: ${name} was not started`)
    return found
  }

  /** What the interceptors of all services have seen so far. */
  get seen(): readonly Seen[] {
    return this.#seen
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((service) => service.drain(500)))
  }

  /** Leaves no time for anything. For the moment before this process ends. */
  killAll(): void {
    for (const service of this.#processes.values()) void service.kill()
  }

  #peers(): Peers {
    return Object.fromEntries([...this.#processes].map(([name, { address }]) => [name, address]))
  }

  #hear(message: FromService): void {
    if (message.type === 'observed') this.#seen.push({ service: message.service, ...message.observation })
  }
}
