import { setTimeout as sleep } from 'node:timers/promises'
import type { People } from './person.ts'

const goods = ['apples', 'bread', 'coffee', 'honey', 'lemons', 'olives', 'rice', 'tea']
const CUSTOMERS = 5
/** How long a customer waits. */
const PATIENCE_MS = 3000

/** A day like any other in the shop, from when it is made until it is stopped. */
export class Traffic {
  readonly #people: People
  readonly #stopped = new AbortController()
  readonly #loops: Promise<void>[]

  constructor(people: People) {
    this.#people = people
    this.#loops = Array.from({ length: CUSTOMERS }, (_, i) => this.#shop(`customer-${i + 1}`, i))
    this.#loops.push(this.#deliveries())
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#loops)
  }

  /** Orders most of the time; looks around, and fills a basket, now and then. */
  async #shop(name: string, offset: number): Promise<void> {
    const options = { timeoutMs: PATIENCE_MS, signal: this.#stopped.signal }
    for (let turn = offset; ; turn++) {
      if (!(await this.#pause(500 + ((turn * 137) % 400)))) return
      const lines = [0, 1].map((i) => ({ sku: goods[(turn * 3 + i) % goods.length]!, quantity: 1 + (turn % 3) }))
      const { storefront } = this.#people.get(name)
      // The page shows how it ends; nothing here depends on it.
      if (turn % 7 === 3) await drained(storefront.browse({ limit: 40 }, options))
      else if (turn % 5 === 1) await drained(storefront.fillBasket(lines, options))
      else await storefront.placeOrder({ lines }, options).status
    }
  }

  async #deliveries(): Promise<void> {
    const { inventory } = this.#people.get('staff-1', 'staff')
    const parcels = goods.map((sku) => ({ sku, quantity: 20 }))
    while (await this.#pause(3000)) await inventory.restock(parcels, { signal: this.#stopped.signal }).status
  }

  async #pause(ms: number): Promise<boolean> {
    await sleep(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
    return !this.#stopped.signal.aborted
  }
}

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _message of stream);
  } catch {
    // As above.
  }
}
