import type { ClientCall } from '@grpc-stack/grpc-core'
import type { CircuitChange } from './circuit.ts'

/** A circuit changed its state. */
export interface StateChangeEvent extends CircuitChange {
  readonly key: string
}

/** A call was refused; or, with `observeOnly`, would have been. */
export interface RefusalEvent {
  readonly key: string
  readonly call: ClientCall
  /** Until the next probe, ms; 0 while probes are under way, `Infinity` while forced open. */
  readonly retryInMs: number
}

export interface CircuitEvents {
  readonly stateChange: StateChangeEvent
  readonly refusal: RefusalEvent
}

type Listeners = { readonly [E in keyof CircuitEvents]: Set<(event: CircuitEvents[E]) => void> }

/** Tells listeners. One that throws changes nothing for the RPC and is reported as a process warning. */
export class CircuitEmitter {
  readonly #listeners: Listeners = { stateChange: new Set(), refusal: new Set() }

  on<E extends keyof CircuitEvents>(event: E, listener: (event: CircuitEvents[E]) => void): () => void {
    const listeners = this.#listeners[event]
    if (listeners === undefined) {
      throw new TypeError(`circuitBreaker.on: event must be "stateChange" or "refusal", got ${String(event)}`)
    }
    if (typeof listener !== 'function') throw new TypeError('circuitBreaker.on: listener must be a function')
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  emit<E extends keyof CircuitEvents>(event: E, make: () => CircuitEvents[E]): void {
    const listeners = this.#listeners[event]
    if (listeners.size === 0) return
    const value = make()
    for (const listener of [...listeners]) {
      try {
        listener(value)
      } catch (error) {
        warn(event, error)
      }
    }
  }
}

export function warn(what: string, error: unknown): void {
  const problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.emitWarning(`circuitBreaker: ${what} threw: ${problem}`, {
    type: 'GrpcStackWarning',
    code: 'GRPC_STACK_LISTENER_THREW',
  })
}
