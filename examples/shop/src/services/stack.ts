import { type ClientInterceptorLike, chain, type Interceptor, propagate, stacks } from '@grpc-stack/grpc-core'
import type { Faults } from '../interceptors/faults.ts'
import { identify, onBehalf } from '../interceptors/identify.ts'
import { type Observation, observe } from '../interceptors/observe.ts'
import { requestId } from '../interceptors/request-id.ts'

/** What the process lends to the service in it. */
export interface Tools {
  readonly report: (observation: Observation) => void
  readonly faults: Faults
}

/** A stack per service that a process answers for: health for everyone, operations for operators. */
export function serverStack({ report, faults }: Tools): Interceptor {
  const observed = [requestId(), observe(report)]
  return stacks({
    '*': [...observed, identify(), faults],
    '/shop.inventory.Inventory/Restock': [...observed, identify('staff'), faults],
    'shop.operations.Operations': [...observed, identify('operator')],
    'grpc.health.v1.Health': [],
  })
}

/** Around every call to another service of the shop. */
export function clientStack({ report }: Tools): ClientInterceptorLike {
  return chain(requestId(), observe(report), propagate(), onBehalf())
}
