import type { Observation } from '../interceptors/observe.ts'
import type { ServiceName } from '../services/service.ts'

/** What a service's process tells the one that started it. */
export type FromService =
  | { readonly type: 'ready'; readonly address: string }
  | { readonly type: 'observed'; readonly service: ServiceName; readonly observation: Observation }
  | { readonly type: 'drained' }

/** What it is told. */
export type ToService = { readonly type: 'drain'; readonly graceMs: number }
