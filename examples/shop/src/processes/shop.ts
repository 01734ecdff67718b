import type { JSONWebKeySet } from 'jose'
import type { Peers, ServiceName } from '../services/service.ts'
import type { Observatory } from '../telemetry/observatory.ts'
import { ServiceProcess } from './service-process.ts'

/** The four services, each in a process of its own. */
export class Shop {
  readonly #keys: JSONWebKeySet
  readonly #observatory: Observatory
  readonly #processes = new Map<ServiceName, ServiceProcess>()

  /** @param keys to verify tokens with */
  constructor(keys: JSONWebKeySet, observatory: Observatory) {
    this.#keys = keys
    this.#observatory = observatory
  }

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
    const setup = { peers: this.#peers(), keys: this.#keys, address: before?.address ?? '127.0.0.1:0' }
    this.#processes.set(name, await ServiceProcess.start(name, setup, this.#observatory.at(name)))
  }

  service(name: ServiceName): ServiceProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new Error(`shop: ${name} was not started`)
    return found
  }

  /** Lets every service finish what it is doing, those first that call others. */
  async close(): Promise<void> {
    for (const name of ['storefront', 'orders'] as const) await this.#processes.get(name)?.drain(500)
    await Promise.all((['inventory', 'payments'] as const).map((name) => this.#processes.get(name)?.drain(500)))
  }

  /** Ends all services at once. */
  async kill(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((service) => service.kill()))
  }

  #peers(): Peers {
    return Object.fromEntries([...this.#processes].map(([name, { address }]) => [name, address]))
  }
}
