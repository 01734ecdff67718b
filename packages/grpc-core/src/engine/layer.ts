import type { AsyncResource } from 'node:async_hooks'
import type { Recovery } from '../contract/call.ts'
import type { Status } from '../contract/status.ts'

/**
 * What one interceptor of a run is doing:
 *
 * - `running`: its function has not returned.
 * - `passing`: it returned the promise of its `next()`. It has no more part in the run, and costs nothing further.
 * - `pending`: it returned a promise of its own, which the run waits for.
 * - `recovering`: it returned the promise of `recover`. The run asks its recovery when what is inside has ended.
 * - `abandoned`: a layer outside of it went on without it. It hears so, and changes nothing any more.
 * - `settled`: it has given its status.
 */
export type LayerState = 'running' | 'passing' | 'pending' | 'recovering' | 'abandoned' | 'settled'

/** One run of one interceptor. Each call makes one for each, so it is small. */
export class Layer {
  readonly index: number
  state: LayerState = 'running'
  /** How often it has called `next()`. */
  calls = 0
  /** What its latest `next()` returned. */
  given: Promise<Status> | undefined
  /** Only where it does not pass on the promise of its `next()`. */
  waits: Waiting | undefined

  constructor(index: number) {
    this.index = index
  }

  /** Whether its function has returned, so that what it still does it does from a promise or an event. */
  get returned(): boolean {
    return this.state !== 'running'
  }
}

/** What is needed of a layer that answers later than what is inside of it. */
export class Waiting {
  /** The promise that the layer outside got, and what settles it. The outermost layer has none. */
  promise: Promise<Status> | undefined
  resolve: ((status: Status) => void) | undefined
  recovering: Recovering | undefined
  /** What its `next()` resolves to once it is abandoned. */
  abandoned: Status | undefined
  /** Where it goes on when another call's event calls its `next()`: the context it was entered in. */
  entry: AsyncResource | undefined
}

/** A `recover` under way. */
export interface Recovering {
  readonly recovery: Recovery
  /** Where the interceptor would go on after `await next()`. */
  readonly scope: AsyncResource
  readonly promise: Promise<Status>
  readonly resolve: (status: Status) => void
  asked: boolean
}
