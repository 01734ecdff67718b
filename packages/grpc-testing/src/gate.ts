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

// What is on its way between two sockets of a busy machine takes its time, whatever this process does.
const QUIET_MS = 50
const QUIET_TURNS = 100

/** Waits until an amount has stopped growing, and returns it: how far a sender gets ahead of one that does not read. */
export async function standstill(amount: () => number): Promise<number> {
  let last = amount()
  let since = performance.now()
  for (let turns = 0; turns < QUIET_TURNS || performance.now() - since < QUIET_MS; turns++) {
    await settle(1)
    if (amount() === last) continue
    last = amount()
    since = performance.now()
    turns = 0
  }
  return last
}
