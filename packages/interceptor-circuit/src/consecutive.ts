import { integer, quoted, readValue } from '@grpc-stack/grpc-core/authoring'
import type { FailurePolicy, FailureWindow, WindowCounts } from './failure-window.ts'

/**
 * Opens after so many failures in a row. Simple and quick, but blind to a server that fails every other call.
 * @throws TypeError unless `failures` is an integer ≥ 1.
 */
export function consecutive(failures: number): FailurePolicy {
  const limit = readValue('consecutive', 'failures', failures, integer({ min: 1 }), { show: quoted })
  return { open: () => new ConsecutiveFailures(limit) }
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
