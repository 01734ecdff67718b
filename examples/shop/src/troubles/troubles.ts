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
  readonly #active = new Set<Trouble>()
  /** One change of a trouble after the other, whatever the clicks. */
  readonly #last = new Map<Trouble, Promise<void>>()
  #onChange: () => void

  constructor(stage: Stage, onChange: () => void) {
    this.#stage = stage
    this.#onChange = onChange
  }

  get active(): readonly string[] {
    return [...this.#active].map(({ id }) => id)
  }

  /** Returns false if there is no such trouble. */
  set(id: string, on: boolean): boolean {
    const trouble = allTroubles.find((one) => one.id === id)
    if (trouble === undefined) return false
    const change = (this.#last.get(trouble) ?? Promise.resolve()).then(() => this.#change(trouble, on))
    this.#last.set(trouble, change)
    return true
  }

  async end(): Promise<void> {
    for (const { id } of this.#active) this.set(id, false)
    await Promise.all(this.#last.values())
  }

  async #change(trouble: Trouble, on: boolean): Promise<void> {
    if (this.#active.has(trouble) === on) return
    this.#active.add(trouble)
    this.#onChange()
    try {
      if (on) await trouble.start(this.#stage)
      else await trouble.stop(this.#stage)
    } catch (error) {
      console.error(`shop: ${trouble.title}: ${String(error)}`)
    }
    // What only happens is over when it has happened.
    if (!on || trouble.momentary) this.#active.delete(trouble)
    this.#onChange()
  }
}
