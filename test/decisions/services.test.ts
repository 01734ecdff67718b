// Envoy's rate limit service and external authorization, as processes that are slow, answer nothing, end and come back, under servers that ask
// them about each call.
import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import { type Channel, createChannel, type Interceptor, type ServerCall } from '@grpc-stack/grpc-core'
import { runRpc, startTestServer, type TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { extAuthz } from '@grpc-stack/interceptor-auth/ext-authz'
import { rateLimitService } from '@grpc-stack/interceptor-ratelimit/rls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServiceProcess } from '../../scripts/envoy/service-process.mjs'
import { type Ended, Figures, ms, summary } from '../figures.ts'

const COLUMNS = ['rateLimitService', "with 'admit'", 'extAuthz'] as const
type Column = (typeof COLUMNS)[number]

/** More than the default of 200, so that a busy machine decides about no call. */
const timeoutMs = 1000

const interceptors: Record<Column, (channel: Channel) => Interceptor<ServerCall>> = {
  rateLimitService: (channel) => rateLimitService({ channel, domain: 'test', descriptors, timeoutMs }),
  "with 'admit'": (channel) =>
    rateLimitService({ channel, domain: 'test', descriptors, onServiceError: 'admit', timeoutMs }),
  extAuthz: (channel) => extAuthz({ channel, headers: ['caller'], timeoutMs }),
}
const descriptors = (call: ServerCall) => [{ caller: String(call.metadata.get('caller')[0]) }]

/** A caller whose limit is never reached: what it is told depends on the service alone. */
const NOBODY_ELSE = { requestsPerUnit: 1_000_000, delayMs: 0 }

const figures = new Figures('', COLUMNS)
const limits = { service: undefined as unknown as ServiceProcess }
const authorization = { service: undefined as unknown as ServiceProcess }
const serviceOf = (column: Column) => (column === 'extAuthz' ? authorization : limits).service
const clients = new Map<Column, TestClient>()
const servers: TestServer[] = []
const channels: Channel[] = []

beforeAll(async () => {
  limits.service = await ServiceProcess.start('rate-limit-service', NOBODY_ELSE)
  authorization.service = await ServiceProcess.start('ext-authz-service')
  for (const column of COLUMNS) {
    const channel = createChannel(serviceOf(column).address, credentials.createInsecure())
    channels.push(channel)
    const server = await startTestServer({ interceptors: [interceptors[column](channel)] })
    servers.push(server)
    clients.set(column, server.client())
  }
}, 30_000)

afterAll(async () => {
  for (const server of servers) await server.stop()
  for (const channel of channels) channel.close()
  await limits.service.stop()
  await authorization.service.stop()
  figures.print()
}, 30_000)

async function call(column: Column, caller = 'ann'): Promise<Ended> {
  const metadata = new Metadata()
  metadata.set('caller', caller)
  const begin = performance.now()
  const { status } = await runRpc(clients.get(column) as TestClient, 'unary', { metadata })
  return { code: status?.code, tookMs: performance.now() - begin }
}

/** One after the other. */
async function calls(column: Column, count: number, caller?: string): Promise<Ended[]> {
  const ended: Ended[] = []
  for (let i = 0; i < count; i++) ended.push(await call(column, caller))
  return ended
}

/** How calls end while the service gives no answer. */
const WITHOUT: Record<Column, Code> = {
  rateLimitService: Code.UNAVAILABLE,
  "with 'admit'": Code.OK,
  extAuthz: Code.UNAVAILABLE,
}

describe.each(COLUMNS)('%s', (column) => {
  it('decides while the service answers, also a slow one', async () => {
    // The first question connects.
    await call(column)
    const ended = await calls(column, 50)
    expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([Code.OK]))
    figures.set('the service answers: calls end', column, summary(ended))
    serviceOf(column).answer({ ...NOBODY_ELSE, delayMs: 100 })
    const slow = await calls(column, 5)
    serviceOf(column).answer(NOBODY_ELSE)
    expect(new Set(slow.map(({ code }) => code))).toEqual(new Set([Code.OK]))
    expect(Math.min(...slow.map(({ tookMs }) => tookMs))).toBeGreaterThanOrEqual(95)
    figures.set('it takes 100 ms', column, summary(slow))
  })

  it('waits for timeoutMs and no longer while the service answers nothing', async () => {
    serviceOf(column).pause()
    try {
      // The first error of a process is slow under vitest, which looks its frames up in the sources.
      await call(column)
      const ended = await Promise.all(Array.from({ length: 20 }, (_, i) => call(column, `caller ${i}`)))
      expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([WITHOUT[column]]))
      expect(Math.min(...ended.map(({ tookMs }) => tookMs))).toBeGreaterThanOrEqual(timeoutMs - 5)
      figures.set('it answers nothing, 20 calls at once', column, summary(ended))
    } finally {
      serviceOf(column).resume()
    }
    // What was asked meanwhile is answered too late, and the next question in time.
    await expect.poll(async () => (await call(column)).code, { timeout: 10_000 }).toBe(Code.OK)
  })

  it('does not wait for a service that is gone, and asks it again once it is back', async () => {
    await serviceOf(column).kill()
    const ended = await calls(column, 20)
    expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([WITHOUT[column]]))
    figures.set('it is gone', column, summary(ended))
    await serviceOf(column).restart()
    const begin = performance.now()
    // One that it refuses shows that it was asked.
    serviceOf(column).answer({ requestsPerUnit: 0, deny: ['/grpcstack.testing.Test/Unary'] })
    const refused = column === 'extAuthz' ? Code.PERMISSION_DENIED : Code.RESOURCE_EXHAUSTED
    await expect.poll(async () => (await call(column, 'late')).code, { timeout: 20_000, interval: 10 }).toBe(refused)
    figures.set('it is back: decides again after', column, ms(performance.now() - begin))
    serviceOf(column).answer(NOBODY_ELSE)
  }, 40_000)
})

describe.each(['rateLimitService', "with 'admit'"] as const)('what %s knows of callers over their limit', (column) => {
  it('refuses them until the time that the service named without asking, also while it is gone', async () => {
    serviceOf(column).answer({ requestsPerUnit: 20, unit: 'day' })
    const ended = await Promise.all(Array.from({ length: 30 }, () => call(column, 'hasty')))
    const admitted = ended.filter(({ code }) => code === Code.OK).length
    figures.set('calls admitted of 30 at once, of 20 due', column, admitted)
    await serviceOf(column).kill()
    const after = await call(column, 'hasty')
    figures.set('it is gone: a caller over its limit, until the time it named', column, summary([after]))
    expect(admitted).toBe(20)
    expect(after.code).toBe(Code.RESOURCE_EXHAUSTED)
    await serviceOf(column).restart()
  })
})

describe('what extAuthz keeps', () => {
  it('holds while the service is gone, where it said that the answer may be used again', async () => {
    authorization.service.answer({ deny: [], maxAgeSeconds: 60 })
    await expect.poll(async () => (await call('extAuthz', 'known')).code, { timeout: 20_000 }).toBe(Code.OK)
    await authorization.service.kill()
    const known = await calls('extAuthz', 20, 'known')
    const unknown = await call('extAuthz', 'unknown')
    figures.set('it is gone: a caller whose answer is kept (max_age_seconds)', 'extAuthz', summary(known))
    expect(new Set(known.map(({ code }) => code))).toEqual(new Set([Code.OK]))
    expect(unknown.code).toBe(Code.UNAVAILABLE)
  })
})
