// Expectations of the types: a line compiles, or does not under @ts-expect-error.
import { type ClientCall, ContextVar, clientInterceptors, serverInterceptors } from '@grpc-stack/grpc-core'
import { byEach, byMethod, byPeer, byPrincipal, concurrencyLimit, rateLimit, throttle, unlimited } from '../index.ts'
import { redisStore } from '../redis.ts'

interface Principal {
  readonly subject: string
  readonly claims?: Readonly<Record<string, unknown>>
}
const principalVar = new ContextVar<Principal>('principal')
const nameVar = new ContextVar<string>('name')

serverInterceptors(rateLimit({ rate: 5, key: byPrincipal(principalVar, { otherwise: byPeer() }) }))
serverInterceptors(concurrencyLimit({ limit: 5, key: byEach(byMethod, byPeer({ trustedProxies: 1 })) }))
clientInterceptors(throttle(), throttle({ rate: 5 }), concurrencyLimit({ limit: 'adaptive' }))
rateLimit({ rate: 5, key: (call) => (call.side === 'server' ? call.peer() : unlimited) })
rateLimit({ limits: [{ rate: 5 }, { rate: 5, perMs: 60_000 }] })

throttle().state().rejection.toFixed()
throttle({ rate: 5, cost: (call: ClientCall) => (call.waitForReady ? 2 : 1) })
  .waiting()
  .toFixed()
rateLimit({ rate: 5 }).on('refused', ({ waitMs }) => waitMs.toFixed())

// @ts-expect-error: a principal has a subject
byPrincipal(nameVar)
// @ts-expect-error: unknown option
rateLimit({ rate: 5, windowMs: 5 })
// @ts-expect-error: no such choice
rateLimit({ rate: 5, onStoreError: 'open' })
// @ts-expect-error: a key is a string
rateLimit({ rate: 5, key: () => 5 })
// @ts-expect-error: for servers
clientInterceptors(rateLimit({ rate: 5 }))
// @ts-expect-error: for clients
serverInterceptors(throttle())
// @ts-expect-error: adaptive throttling has no queue to look at
throttle().waiting()
// @ts-expect-error: no such event
rateLimit({ rate: 5 }).on('admitted', () => undefined)
// @ts-expect-error: no client
redisStore({})
