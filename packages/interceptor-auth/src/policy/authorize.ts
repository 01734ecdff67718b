import type { ServerCall } from '@grpc-stack/grpc-core'
import type { Principal } from '../contract/principal.ts'

/** Whether this principal may make this call. Only `true` lets it through. */
export type Authorize = (principal: Principal, call: ServerCall) => boolean | Promise<boolean>
