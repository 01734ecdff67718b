import type { Handlers } from '@grpc-stack/grpc-core'
import {
  type HealthCheckResponse,
  type HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../generated/grpc/health/v1/health.ts'

/** The standard health service for the server as a whole. */
export function healthHandlers(): { handlers: Handlers<typeof HealthService>; leave(): void } {
  let status: ServingStatus = ServingStatus.SERVING
  const leaving = new Set<() => void>()
  return {
    handlers: {
      check: async (): Promise<HealthCheckResponse> => ({ status }),
      watch: async (call) => {
        call.write({ status })
        const bye = (): void => {
          call.write({ status })
          call.end()
        }
        leaving.add(bye)
        call.once('close', () => leaving.delete(bye))
      },
    },
    leave() {
      status = ServingStatus.NOT_SERVING
      for (const bye of leaving) bye()
    },
  }
}
