import type { Channel, ServerInterceptorLike, StackServer } from '@grpc-stack/grpc-core'

export const serviceNames = ['storefront', 'orders', 'inventory', 'payments'] as const

export type ServiceName = (typeof serviceNames)[number]

/** Address of each service that was started before. */
export type Peers = Readonly<Partial<Record<ServiceName, string>>>

/** What a service is made of: the process around it (process/run-service.ts) does the rest. */
export interface Service {
  /** Around every RPC the service answers. */
  readonly interceptors: readonly ServerInterceptorLike[]
  /** Adds the handlers. */
  register(server: StackServer): void
  /** Connections to close at the end. */
  readonly channels: readonly Channel[]
}
