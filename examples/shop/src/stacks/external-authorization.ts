import { credentials } from '@grpc/grpc-js'
import { createChannel, type Interceptor, type ServerCall } from '@grpc-stack/grpc-core'
import type { Instruments } from '../telemetry/instruments.ts'

/** What a service outside the shop decides about calls. */
export interface ExternalAuthorization {
  /** None where no service is asked. */
  readonly interceptors: readonly Interceptor<ServerCall>[]
  close(): void
}

/** Asks the service that the environment names, `EXT_AUTHZ`, by Envoy's external authorization. */
export async function externalAuthorization({ gauge }: Instruments): Promise<ExternalAuthorization> {
  const { EXT_AUTHZ } = process.env
  if (!EXT_AUTHZ) return { interceptors: [], close() {} }
  // Loaded only where there is such a service.
  const { extAuthz } = await import('@grpc-stack/interceptor-auth/ext-authz')
  const channel = createChannel(EXT_AUTHZ, credentials.createInsecure(), {
    // A service that is back is asked again soon.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
  })
  const guard = extAuthz({ channel, headers: ['authorization'], timeoutMs: PATIENCE_MS })
  gauge('external authorization', () => guard.counters())
  return { interceptors: [guard], close: () => channel.close() }
}

/** Everything runs on one machine, which may be busy: more than the default of 200 ms. */
const PATIENCE_MS = 1000
