import { createLocalJWKSet, jwtVerify } from 'jose'
import { type ClientMiddleware, Metadata, ServerError, type ServerMiddleware, Status } from 'nice-grpc'
import { retryMiddleware } from 'nice-grpc-client-middleware-retry'
import { openTelemetryClientMiddleware, openTelemetryServerMiddleware } from 'nice-grpc-opentelemetry'
import { prometheusClientMiddleware, prometheusServerMiddleware } from 'nice-grpc-prometheus'
import { openNice, serveNice } from './nice-grpc-peer.ts'
import { nullLogger, startTracing } from './telemetry.ts'
import { AUDIENCE, ISSUER, jwks, token, WRONG_TOKEN } from './token.ts'
import type { Variant } from './variant.ts'

startTracing()
const logger = nullLogger()

/** nice-grpc has no logging package: a middleware as its documentation shows one, to the same logger as ours. */
const clientLogging: ClientMiddleware = async function* (call, options) {
  const start = performance.now()
  try {
    const response = yield* call.next(call.request, options)
    logger.info({ 'grpc.method': call.method.path, 'grpc.time_ms': performance.now() - start }, 'finished call')
    return response
  } catch (error) {
    logger.warn({ 'grpc.method': call.method.path, error }, 'finished call')
    throw error
  }
}

const serverLogging: ServerMiddleware = async function* (call, context) {
  const start = performance.now()
  try {
    const response = yield* call.next(call.request, context)
    logger.info({ 'grpc.method': call.method.path, 'grpc.time_ms': performance.now() - start }, 'finished call')
    return response
  } catch (error) {
    logger.warn({ 'grpc.method': call.method.path, error }, 'finished call')
    throw error
  }
}

const clientToken = (value: string): ClientMiddleware =>
  async function* (call, options) {
    const metadata = Metadata(options.metadata).set('authorization', `Bearer ${value}`)
    return yield* call.next(call.request, { ...options, metadata })
  }

// The same check as ours, and like ours it verifies a token's signature once.
const keys = createLocalJWKSet(jwks)
const verified = new Map<string, number>()
const checkToken: ServerMiddleware = async function* (call, context) {
  const given = context.metadata.get('authorization')?.slice('Bearer '.length) ?? ''
  if ((verified.get(given) ?? 0) < Date.now() / 1000) {
    try {
      const { payload } = await jwtVerify(given, keys, { issuer: ISSUER, audience: AUDIENCE })
      verified.set(given, payload.exp ?? 0)
    } catch {
      throw new ServerError(Status.UNAUTHENTICATED, 'invalid credentials')
    }
  }
  return yield* call.next(call.request, context)
}

export const niceFull: Variant = {
  refuses: true,
  // Servers list outermost first; the client factory takes them innermost first.
  startServer: () =>
    serveNice([openTelemetryServerMiddleware(), prometheusServerMiddleware(), serverLogging, checkToken]),
  openClient: (port, mayEnter) =>
    openNice(port, [
      clientToken(mayEnter ? token : WRONG_TOKEN),
      retryMiddleware as ClientMiddleware,
      clientLogging,
      prometheusClientMiddleware(),
      openTelemetryClientMiddleware(),
    ]),
}
