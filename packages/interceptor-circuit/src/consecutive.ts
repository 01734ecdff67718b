import type { FailurePolicy, FailureWindow, WindowCounts } from './failure-window.ts'
import { checkNumber } from './option-checks.ts'

/**
 * Opens after so many failures in a row. Simple and quick, but blind to a server that fails every other call.
 * @throws TypeError unless `failures` is an integer ≥ 1.
 */
export function consecutive(failures: number): FailurePolicy {
  checkNumber('consecutive', 'failures', failures, 'an integer ≥ 1', (n) => Number.isInteger(n) && n >= 1)
  return { open: () => new ConsecutiveFailures(failures) }
}

class ConsecutiveFailures implements FailureWindow {
  readonly #limit: number
  #row = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  record(failed: boolean): boolean {
    this.#row = failed ? this.#row + 1 : 0
    return this.#row >= this.#limit
  }

  clear(): void {
    this.#row = 0
  }

  counts(): WindowCounts {
    return { calls: this.#row, failures: this.#row, slow: 0 }
  }
}
