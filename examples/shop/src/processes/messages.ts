import type { JSONWebKeySet } from 'jose'
import type { Peers } from '../services/service.ts'
import type { Fact } from '../telemetry/facts.ts'

/** What a service's process is given to start with, in the environment variable SHOP_SETUP. */
export interface Setup {
  readonly peers: Peers
  /** To verify tokens with. */
  readonly keys: JSONWebKeySet
  /** Where to listen. */
  readonly address: string
}

/** What it tells the process that started it. */
export type FromService = Fact | { readonly type: 'ready'; readonly address: string }

/** What it is told. */
export type ToService = { readonly type: 'drain'; readonly graceMs: number }
