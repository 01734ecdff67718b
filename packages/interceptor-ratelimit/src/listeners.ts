/** Listeners by event. What one throws is a warning of the process and nobody's outcome. */
export class Listeners<Events> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>()

  /** @returns what removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    if (typeof listener !== 'function') throw new TypeError(`on("${String(name)}"): the listener must be a function`)
    const set = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, set.add(listener))
    return () => set.delete(listener)
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        // on() put in only listeners for this event.
        ;(listener as (event: Events[Name]) => void)(event)
      } catch (error) {
        process.emitWarning(`a listener for "${String(name)}" threw: ${String(error)}`, 'RateLimitWarning')
      }
    }
  }
}
