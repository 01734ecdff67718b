/** A value that becomes known once. A promise of it is made only when one is asked for. */
export class Later<T> {
  #value: T | undefined
  #known = false
  #promise: Promise<T> | undefined
  #resolve: ((value: T) => void) | undefined

  get value(): T | undefined {
    return this.#value
  }

  get known(): boolean {
    return this.#known
  }

  get promise(): Promise<T> {
    this.#promise ??= new Promise((resolve) => {
      if (this.#known) resolve(this.#value as T)
      else this.#resolve = resolve
    })
    return this.#promise
  }

  /** The first value stays. */
  set(value: T): void {
    if (this.#known) return
    this.#known = true
    this.#value = value
    this.#resolve?.(value)
  }
}
