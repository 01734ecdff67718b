/** A point in a test that waits until another part of it says go. Tests wait at gates, never for time to pass. */
export class Gate {
  /** Resolves when the gate is opened. */
  readonly opened: Promise<void>
  isOpen = false
  #resolve!: () => void

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Lets everybody through, now and later. */
  readonly open = (): void => {
    this.isOpen = true
    this.#resolve()
  }
}

/** Lets everything that is ready to run, run: `turns` turns of the event loop, in which no timer is awaited. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
