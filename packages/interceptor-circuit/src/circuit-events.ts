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
