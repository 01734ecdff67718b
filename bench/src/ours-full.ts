import { clientInterceptors, createServer } from '@grpc-stack/grpc-core'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { jwt } from '@grpc-stack/interceptor-auth/jwt'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import { observers } from './ours-observers.ts'
import { nullSinks, type Sinks } from './telemetry.ts'
import { AUDIENCE, ISSUER, jwks, token, WRONG_TOKEN } from './token.ts'
import type { Variant } from './variant.ts'

/** The stacks of the README, in the recommended order. */
export function oursFullInto(sinks: Sinks): Variant {
  return {
    refuses: true,
    startServer: () =>
      serveGrpcJs(
        createServer({
          interceptors: [
            requestId(),
            ...observers(sinks),
            serverAuth({ verify: jwt({ jwks, issuer: ISSUER, audience: AUDIENCE }) }),
            rateLimit({ rate: 1e9, perMs: 1000 }),
          ],
        }),
      ),
    openClient: (port, mayEnter) =>
      openGrpcJs(port, {
        interceptors: clientInterceptors(
          ...observers(sinks),
          retry(),
          circuitBreaker(),
          clientAuth({ token: mayEnter ? token : WRONG_TOKEN, allowInsecure: true }),
        ),
      }),
  }
}

export const oursFull: Variant = oursFullInto(nullSinks())
