import { credentials } from '@grpc/grpc-js'
import { createChannel, type Interceptor, type ServerCall } from '@grpc-stack/grpc-core'
import { principalVar } from '@grpc-stack/interceptor-auth'
import { byPrincipal, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import type { Instruments } from '../telemetry/instruments.ts'
import { openLimitStore } from './limit-store.ts'

/** A limit for each customer, so that no customer can take the service from the others. Shown on the page. */
export interface CustomerLimit {
  readonly interceptor: Interceptor<ServerCall>
  close(): void
}

/** By Envoy's rate limit service where the environment names one, `RATE_LIMIT_SERVICE`; else counted by the shop itself. */
export function customerLimit(instruments: Instruments): Promise<CustomerLimit> {
  const { RATE_LIMIT_SERVICE } = process.env
  return RATE_LIMIT_SERVICE ? bySomeService(RATE_LIMIT_SERVICE, instruments) : byTheShop(instruments)
}

async function byTheShop({ event, gauge }: Instruments): Promise<CustomerLimit> {
  const store = await openLimitStore()
  const interceptor = rateLimit({ name: 'per-customer', rate: 20, key: byPrincipal(principalVar), ...store.options })
  gauge('limiter', () => ({ ...interceptor.counters(), store: store.name }))
  interceptor.on('refused', ({ keys, waitMs }) => event('rateLimit', 'refused', { key: keys[0], waitMs }))
  return { interceptor, close: store.close }
}

async function bySomeService(address: string, { event, gauge }: Instruments): Promise<CustomerLimit> {
  // Loaded only where there is such a service.
  const { rateLimitService } = await import('@grpc-stack/interceptor-ratelimit/rls')
  const channel = createChannel(address, credentials.createInsecure(), RECONNECTS)
  const interceptor = rateLimitService({
    channel,
    domain: 'shop',
    descriptors: () => [{ customer: principalVar.get().subject }],
    // Everything runs on one machine, which may be busy: more than the default.
    timeoutMs: 1000,
    // A limit that cannot be checked is no reason to close the shop.
    onServiceError: 'admit',
  })
  gauge('limiter', () => ({ ...interceptor.counters(), store: 'rate limit service' }))
  interceptor.on('refused', ({ descriptors, waitMs }) =>
    event('rateLimit', 'refused', { key: descriptors[0]?.customer, waitMs }),
  )
  return { interceptor, close: () => channel.close() }
}

/** A service that is back is asked again soon. */
const RECONNECTS = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 }
