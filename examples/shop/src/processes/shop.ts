import type { JSONWebKeySet } from 'jose'
import type { Peers, ServiceName } from '../services/service.ts'
import type { Observatory } from '../telemetry/observatory.ts'
import { ServiceProcess } from './service-process.ts'

/** The four services, each in a process of its own. */
export class Shop {
  readonly #keys: JSONWebKeySet
  readonly #observatory: Observatory
  readonly #processes = new Map<ServiceName, ServiceProcess>()
  readonly #starting = new Set<Promise<unknown>>()
  #closed = false

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
    if (this.#closed) throw new Error(`shop: ${name} cannot be started, the shop is closed`)
    const before = this.#processes.get(name)
    if (before?.running) return
    const setup = { peers: this.#peers(), keys: this.#keys, address: before?.address ?? '127.0.0.1:0' }
    const starting = ServiceProcess.start(name, setup, this.#observatory.at(name))
    this.#starting.add(starting)
    try {
      this.#processes.set(name, await starting)
    } finally {
      this.#starting.delete(starting)
    }
  }

  service(name: ServiceName): ServiceProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new Error(`shop: ${name} was not started`)
    return found
  }

  /** Lets every service finish what it is doing, those first that call others. */
  async close(): Promise<void> {
    this.#closed = true
    // Who is just being started is to be ended, too.
    await Promise.allSettled(this.#starting)
    for (const name of ['storefront', 'orders'] as const) await this.#processes.get(name)?.drain(500)
    await Promise.all((['inventory', 'payments'] as const).map((name) => this.#processes.get(name)?.drain(500)))
  }

  #peers(): Peers {
    return Object.fromEntries([...this.#processes].map(([name, { address }]) => [name, address]))
  }
}
