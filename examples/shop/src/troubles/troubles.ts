import type { Stage } from '../story/step.ts'
import { hammering, shortTokens, slowReader } from './customer-troubles.ts'
import { flakyInventory, paymentsDown, restartOrders, slowBank } from './service-troubles.ts'
import type { Trouble } from './trouble.ts'

export const allTroubles: readonly Trouble[] = [
  flakyInventory,
  paymentsDown,
  slowBank,
  hammering,
  slowReader,
  shortTokens,
  restartOrders,
]

/** Which troubles the shop is in. */
export class Troubles {
  readonly #stage: Stage
  readonly #all: readonly Trouble[]
  readonly #active = new Set<Trouble>()
  /** One change of a trouble after the other, whatever the clicks. */
  readonly #last = new Map<Trouble, Promise<void>>()
  readonly #onChange: () => void

  constructor(stage: Stage, onChange: () => void, all = allTroubles) {
    this.#stage = stage
    this.#all = all
    this.#onChange = onChange
  }

  get active(): readonly string[] {
    return [...this.#active].map(({ id }) => id)
  }

  /** Returns false if there is no such trouble. */
  set(id: string, on: boolean): boolean {
    const trouble = this.#all.find((one) => one.id === id)
    if (trouble === undefined) return false
    const change = (this.#last.get(trouble) ?? Promise.resolve()).then(() => this.#change(trouble, on))
    this.#last.set(trouble, change)
    return true
  }

  /** Ends what is going on, as when the shop closes. */
  async end(): Promise<void> {
    await Promise.all(this.#last.values())
    for (const { id } of this.#active) this.set(id, false)
    await Promise.all(this.#last.values())
  }

  async #change(trouble: Trouble, on: boolean): Promise<void> {
    if (this.#active.has(trouble) === on) return
    this.#active.add(trouble)
    this.#onChange()
    let over = !on || trouble.momentary === true
    try {
      if (on) await trouble.start(this.#stage)
      else await trouble.stop(this.#stage)
    } catch (error) {
      over = true
      console.error(`shop: ${trouble.title}: ${error}`)
    }
    if (over) this.#active.delete(trouble)
    this.#onChange()
  }
}
