import type { Channel, Interceptor, ServerInterceptorLike, StackServer } from '@grpc-stack/grpc-core'
import type { Faults } from '../interceptors/faults.ts'
import type { Admit } from '../stacks/admission.ts'

export const serviceNames = ['storefront', 'orders', 'inventory', 'payments'] as const

export type ServiceName = (typeof serviceNames)[number]

/** Address of each service that was started before. */
export type Peers = Readonly<Partial<Record<ServiceName, string>>>

/** What its process lends a service. */
export interface Tools {
  /** The outermost interceptors, the same on both sides. */
  readonly observers: Interceptor[]
  readonly admit: Admit
  readonly faults: Faults
  readonly peers: Peers
}

/** What a service is made of; the process around it (processes/run-service.ts) does the rest. */
export interface Service {
  /** Around every RPC the service answers. */
  readonly interceptors: readonly ServerInterceptorLike[]
  /** Adds the handlers. */
  register(server: StackServer): void
  /** Connections to close at the end. */
  readonly channels: readonly Channel[]
}
