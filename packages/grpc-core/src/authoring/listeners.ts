import { type Containment, contain } from './contain.ts'

/** Listeners by event. What one throws, or rejects with, changes nothing for the RPC and for the other listeners. */
export class Listeners<Events> {
  readonly #owner: string
  readonly #listeners: ReadonlyMap<keyof Events, Set<(event: never) => unknown>>
  readonly #contained: Containment

  /**
   * @param owner the factory, for errors and warnings
   * @param names all events there are; `on` refuses others
   */
  constructor(owner: string, names: readonly (keyof Events & string)[]) {
    this.#owner = owner
    this.#listeners = new Map(names.map((name) => [name, new Set()]))
    this.#contained = contain(owner, { code: 'GRPC_STACK_LISTENER_THREW' })
  }

  /**
   * @returns what removes the listener
   * @throws TypeError for an event that does not exist
   */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#of(name, 'on')
    if (typeof listener !== 'function') {
      throw new TypeError(`${this.#owner}.on: the listener of "${String(name)}" must be a function`)
    }
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Removes a listener that was given to `on`. */
  off<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void {
    this.#of(name, 'off').delete(listener)
  }

  /** Whether to make an event at all. */
  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined || listeners.size === 0) return
    // A copy: a listener may add another one, which is told of the next event.
    for (const listener of [...listeners]) {
      // on() took only listeners of this event.
      this.#contained.run(String(name), () => (listener as (event: Events[Name]) => unknown)(event))
    }
  }

  #of(name: keyof Events, method: string): Set<(event: never) => unknown> {
    const listeners = this.#listeners.get(name)
    if (listeners !== undefined) return listeners
    const names = [...this.#listeners.keys()].map((known) => `"${String(known)}"`).join(' or ')
    throw new TypeError(`${this.#owner}.${method}: event must be ${names}, got ${String(name)}`)
  }
}
