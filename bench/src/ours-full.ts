import { clientInterceptors, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { jwt } from '@grpc-stack/interceptor-auth/jwt'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { Registry } from 'prom-client'
import { openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import { nullLogger, startTracing } from './telemetry.ts'
import { AUDIENCE, ISSUER, jwks, token, WRONG_TOKEN } from './token.ts'
import type { Variant } from './variant.ts'

startTracing()
const logger = nullLogger()

/** The three that watch, the same on both sides. */
const observers = (): Interceptor[] => [
  tracing(),
  metrics({ recorder: prometheus({ registry: new Registry() }) }),
  logging({ logger }),
]

export const oursObservers: Variant = {
  startServer: () => serveGrpcJs(createServer({ interceptors: observers() })),
  openClient: (port) => openGrpcJs(port, { interceptors: clientInterceptors(...observers()) }),
}

/** The stacks of the README, in the recommended order. */
export const oursFull: Variant = {
  refuses: true,
  startServer: () =>
    serveGrpcJs(
      createServer({
        interceptors: [
          requestId(),
          ...observers(),
          serverAuth({ verify: jwt({ jwks, issuer: ISSUER, audience: AUDIENCE }) }),
          rateLimit({ rate: 1e9, perMs: 1000 }),
        ],
      }),
    ),
  openClient: (port, mayEnter) =>
    openGrpcJs(port, {
      interceptors: clientInterceptors(
        ...observers(),
        retry(),
        circuitBreaker(),
        clientAuth({ token: mayEnter ? token : WRONG_TOKEN, allowInsecure: true }),
      ),
    }),
}
