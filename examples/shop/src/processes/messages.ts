import type { JSONWebKeySet } from 'jose'
import type { Fault } from '../generated/shop/operations.ts'
import type { Peers } from '../services/service.ts'
import type { Fact } from '../telemetry/facts.ts'

/** What a service's process is given to start with, in the environment variable SHOP_SETUP. */
export interface Setup {
  readonly peers: Peers
  /** To verify tokens with. */
  readonly keys: JSONWebKeySet
  /** Where to listen: an address, or several, as `ipv4:` and one for each worker. */
  readonly address: string
}

/** What it tells the process that started it. */
export type FromService = Fact | { readonly type: 'ready'; readonly address: string }

/** A fault that all workers of a service are to have. */
interface FaultOfAll {
  readonly type: 'fault'
  readonly fault: Fault
}

/** What a worker of a service tells the process that oversees it. */
export type FromWorker = FromService | FaultOfAll

/** What a service is told. */
export type ToService = { readonly type: 'drain'; readonly graceMs: number } | FaultOfAll
