import type { ServerInterceptorLike, StackServer } from '@grpc-stack/grpc-core'
import type { Faults } from '../interceptors/faults.ts'
import type { Admit } from '../stacks/admission.ts'
import type { Instruments } from '../telemetry/instruments.ts'

export const serviceNames = ['storefront', 'orders', 'inventory', 'payments'] as const

export type ServiceName = (typeof serviceNames)[number]

/** Address of each service that was started before. */
export type Peers = Readonly<Partial<Record<ServiceName, string>>>

/** What its process lends a service. */
export interface Tools {
  readonly instruments: Instruments
  readonly admit: Admit
  readonly faults: Faults
  readonly peers: Peers
}

/** What a service is made of; the process around it (processes/run-service.ts) does the rest. */
export interface Service {
  /** The interceptors around what it answers: a stack for each service, as `stacks()` takes it. */
  readonly stacks: Readonly<Record<string, readonly ServerInterceptorLike[]>>
  /** Adds the handlers. */
  register(server: StackServer): void
  /** Frees what the service holds: connections, above all. */
  close(): void
}
