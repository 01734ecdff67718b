import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { status as Code, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { type Channel, createChannel, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import { serviceDefinition } from '@grpc-stack/grpc-core/protobuf-es'
import { FakeClock, patterns, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type AttributeContext,
  Authorization,
  type CheckResponseSchema,
  StatusSchema,
  ValueSchema,
} from './authorization_pb.ts'
import { type ExtAuthzOptions, extAuthz } from './ext-authz.ts'

type Answer = MessageInitShape<typeof CheckResponseSchema>

const started: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of started.splice(0)) await stop()
})

/** A service of the protocol, whose answers a test gives. */
async function startService(answer: (asked: AttributeContext) => Answer | Promise<Answer>) {
  const questions: AttributeContext[] = []
  const server = createServer()
  server.addService(serviceDefinition(Authorization), {
    check: async ({ request: { attributes } }) => {
      if (attributes === undefined) throw new Error('no attributes')
      questions.push(attributes)
      return await answer(attributes)
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  started.push(
    () => channel.close(),
    () => server.forceShutdown(),
  )
  return { channel, questions, stop: () => server.forceShutdown() }
}

async function startGuarded(options: Partial<ExtAuthzOptions> & { channel: Channel }, ...inside: Interceptor[]) {
  const guard = extAuthz({ timeoutMs: 5000, ...options })
  const server = await startTestServer({ interceptors: [guard, ...inside] })
  started.push(() => server.stop())
  return { guard, server, client: server.client() }
}

function sent(entries: Record<string, string>): Metadata {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value)
  return metadata
}

const yes = (): Answer => ({ status: { code: 0 } })
const no = (response: object = {}): Answer => ({
  status: { code: 7, message: 'not you' },
  httpResponse: { case: 'deniedResponse', value: response },
})

describe.each(patterns)('extAuthz, %s', (pattern) => {
  it('tells the service of the call, and lets it through', async () => {
    const { channel, questions } = await startService(yes)
    const { client, guard } = await startGuarded({ channel, contextExtensions: { realm: 'shop' } })
    const metadata = sent({ authorization: 'Bearer t', 'x-user': 'ann' })
    metadata.add('x-user', 'bob')
    metadata.set('key-bin', Buffer.from('raw'))
    const rpc = await runRpc(client, pattern, { metadata })
    expect(rpc.status?.code).toBe(Code.OK)
    const [asked] = questions
    const path = asked?.request?.http?.path
    expect(path).toMatch(/^\/grpcstack\.testing\.Test\/\w+$/)
    expect(asked?.request?.http).toMatchObject({ method: 'POST', scheme: 'http', protocol: 'HTTP/2', size: -1n })
    expect(asked?.request?.http?.headers).toMatchObject({
      authorization: 'Bearer t',
      'x-user': 'ann, bob', // as HTTP/2 of Node joins them
      'key-bin': Buffer.from('raw').toString('base64'),
      ':path': path,
      ':method': 'POST',
      'content-type': 'application/grpc',
    })
    expect(asked?.source?.address?.socketAddress?.address).toBe('127.0.0.1')
    expect(asked?.source?.address?.socketAddress?.portValue).toBeGreaterThan(0)
    expect(asked?.contextExtensions).toEqual({ realm: 'shop' })
    expect(guard.counters()).toEqual({ admitted: 1, refused: 0, remembered: 0, failed: 0 })
  })

  it('refuses with what the service says, and never runs the handler', async () => {
    const { channel } = await startService(() =>
      no({
        status: { code: 401 },
        body: 'log in first',
        headers: [{ header: { key: 'www-authenticate', value: 'Bearer' } }],
      }),
    )
    const { client, server, guard } = await startGuarded({ channel })
    const { status } = await runRpc(client, pattern)
    expect(status).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'log in first' })
    expect(status?.metadata.get('www-authenticate')).toEqual(['Bearer'])
    expect(server.calls).toHaveLength(0)
    expect(guard.counters()).toMatchObject({ admitted: 0, refused: 1 })
  })

  it.each([
    ['is gone', undefined],
    ['fails', () => Promise.reject(new Error('database'))],
    ['answers nothing', () => ({})],
    [
      'answers yes and no',
      () => ({ status: { code: 0 }, httpResponse: { case: 'deniedResponse', value: {} } }) as Answer,
    ],
  ])('ends calls UNAVAILABLE where the service %s', async (_name, answer) => {
    const service = await startService(answer ?? yes)
    if (answer === undefined) service.stop()
    const { client, server, guard } = await startGuarded({ channel: service.channel })
    const errors: unknown[] = []
    guard.on('failed', ({ error }) => errors.push(error))
    const { status } = await runRpc(client, pattern)
    expect(status).toMatchObject({ code: Code.UNAVAILABLE, details: 'Authorization service unavailable' })
    expect(server.calls).toHaveLength(0)
    expect(errors).toHaveLength(1)
    expect(guard.counters()).toEqual({ admitted: 0, refused: 0, remembered: 0, failed: 1 })
  })
})

describe('extAuthz', () => {
  it.each([
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [418, Code.UNKNOWN],
  ])('ends a call that was refused with HTTP status %i by gRPC’s code for it', async (http, code) => {
    const { channel } = await startService(() => no({ status: { code: http } }))
    const { client } = await startGuarded({ channel })
    expect((await runRpc(client, 'unary')).status).toMatchObject({ code, details: 'not you' })
  })

  it.each([
    ['the code of the answer', { status: { code: 8, message: 'later' } }, Code.RESOURCE_EXHAUSTED, 'later'],
    [
      'PERMISSION_DENIED where that is no code',
      { status: { code: 99 } },
      Code.PERMISSION_DENIED,
      'Denied by external authorization',
    ],
    ['a text that is well-formed', { status: { code: 7, message: 'n\u00f6' } }, Code.PERMISSION_DENIED, 'n\u00f6'],
  ])('refuses with %s', async (_name, answer, code, details) => {
    const { channel } = await startService(() => answer)
    const { client } = await startGuarded({ channel })
    expect((await runRpc(client, 'unary')).status).toMatchObject({ code, details })
  })

  it('passes on the details of a refusal', async () => {
    const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: new Uint8Array([10, 1, 65]) }]
    const { channel } = await startService(() => ({ status: { code: 7, message: 'no', details } }))
    const { client } = await startGuarded({ channel })
    const { status } = await runRpc(client, 'unary')
    const expected = toBinary(StatusSchema, create(StatusSchema, { code: 7, message: 'no', details }))
    expect(status?.metadata.get('grpc-status-details-bin')).toEqual([Buffer.from(expected)])
  })

  it('puts the service’s headers in the place of the caller’s, and takes away what it names', async () => {
    const { channel } = await startService(() => ({
      status: { code: 0 },
      httpResponse: {
        case: 'okResponse',
        value: {
          headers: [
            { header: { key: 'x-user', value: 'ann' } },
            { header: { key: 'x-groups', value: 'b' }, append: { value: true } },
            { header: { key: 'grpc-timeout', value: '1n' } },
            { header: { key: ':path', value: '/other' } },
            { header: { key: 'no name', value: 'x' } },
          ],
          headersToRemove: ['authorization', 'grpc-encoding'],
          responseHeadersToAdd: [{ header: { key: 'x-decided-by', value: 'opa' } }],
        },
      },
    }))
    let seen: Record<string, unknown> = {}
    const { client } = await startGuarded({ channel }, (call, next) => {
      seen = {
        user: call.metadata.get('x-user'),
        groups: call.metadata.get('x-groups'),
        authorization: call.metadata.get('authorization'),
      }
      return next()
    })
    const metadata = sent({ 'x-user': 'root', 'x-groups': 'a', authorization: 'Bearer t' })
    const { headers, status } = await runRpc(client, 'unary', { metadata })
    expect(status?.code).toBe(Code.OK)
    expect(seen).toEqual({ user: ['ann'], groups: ['a', 'b'], authorization: [] })
    expect(headers?.get('x-decided-by')).toEqual(['opa'])
  })

  it('tells no more metadata than it is to, and nothing of a caller stands in for the path', async () => {
    const { channel, questions } = await startService(yes)
    const { client } = await startGuarded({ channel, headers: ['Authorization'] })
    await runRpc(client, 'unary', { metadata: sent({ authorization: 'Bearer t', cookie: 'secret', __proto__x: 'y' }) })
    const headers = questions[0]?.request?.http?.headers ?? {}
    expect(Object.keys(headers).sort()).toEqual([':authority', ':method', ':path', 'authorization', 'content-type'])
  })

  it('asks about each call, unless the answer says for how long it holds', async () => {
    const clock = new FakeClock()
    const { channel, questions } = await startService(
      ({ request }): Answer =>
        request?.http?.headers.authorization === 'Bearer keep'
          ? {
              status: { code: 0 },
              dynamicMetadata: { fields: { max_age_seconds: create(ValueSchema, { numberValue: 2 }) } },
            }
          : yes(),
    )
    const { client, guard } = await startGuarded({ channel, clock, headers: ['authorization'] })
    const run = async (authorization: string) => {
      const { status } = await runRpc(client, 'unary', {
        metadata: sent({ authorization, 'x-request-id': String(Math.random()) }),
      })
      expect(status?.code).toBe(Code.OK)
      return questions.length
    }
    expect([await run('Bearer a'), await run('Bearer a')]).toEqual([1, 2])
    expect([await run('Bearer keep'), await run('Bearer keep')]).toEqual([3, 3])
    expect(await run('Bearer other')).toBe(4)
    clock.jump(1999)
    expect(await run('Bearer keep')).toBe(4)
    clock.jump(1)
    expect(await run('Bearer keep')).toBe(5)
    expect(guard.counters()).toEqual({ admitted: 7, refused: 0, remembered: 2, failed: 0 })
  })

  it('keeps a refusal as long as the service says, and for the same call only', async () => {
    const { channel, questions } = await startService(
      (): Answer => ({
        status: { code: 7 },
        dynamicMetadata: { fields: { max_age_seconds: create(ValueSchema, { numberValue: 60 }) } },
      }),
    )
    const { client } = await startGuarded({ channel, clock: new FakeClock() })
    for (const user of ['ann', 'ann', 'bob']) {
      const { status } = await runRpc(client, 'unary', { metadata: sent({ user }) })
      expect(status?.code).toBe(Code.PERMISSION_DENIED)
    }
    await runRpc(client, 'serverStream', { metadata: sent({ user: 'ann' }) })
    expect(questions).toHaveLength(3)
  })

  it('waits for a service that hangs no longer than its time', async () => {
    const { channel } = await startService(() => new Promise(() => undefined))
    const { client } = await startGuarded({ channel, timeoutMs: 20 })
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
  })

  it('stops asking when the call is cancelled, and blames the service for nothing', async () => {
    let arrived: (() => void) | undefined
    const asked = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const { channel } = await startService(async () => {
      arrived?.()
      return await new Promise<Answer>(() => undefined)
    })
    const { client, guard } = await startGuarded({ channel, timeoutMs: 60_000 })
    const rpc = startRpc(client, 'unary')
    await asked
    rpc.cancel()
    await rpc.done
    expect(rpc.status?.code).toBe(Code.CANCELLED)
    expect(guard.counters()).toEqual({ admitted: 0, refused: 0, remembered: 0, failed: 0 })
  })

  it('is asked about methods that are not registered', async () => {
    const { channel, questions } = await startService(() => no())
    const { client } = await startGuarded({ channel })
    const error = await new Promise<{ code?: number } | null>((resolve) => {
      const raw = (value: Buffer) => value
      client.makeUnaryRequest('/none.Such/Method', raw, raw, Buffer.alloc(0), resolve)
    })
    expect(error?.code).toBe(Code.PERMISSION_DENIED)
    expect(questions[0]?.request?.http?.path).toBe('/none.Such/Method')
  })

  it.each([
    [{ channel: undefined }, 'option "channel" must be a channel'],
    [{ channel: 'opa:9191' }, 'option "channel" must be a channel'],
    [{ timeoutMs: 0 }, 'option "timeoutMs"'],
    [{ headers: 'authorization' }, 'option "headers" must be a list of names of metadata'],
    [{ headers: undefined }, 'option "headers"'],
    [{ contextExtensions: { a: 1 } }, 'option "contextExtensions" must be an object of texts'],
    [{ failOpen: true }, 'unknown option "failOpen"'],
  ])('refuses %j', (options, message) => {
    const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
    started.push(() => channel.close())
    const make = () => extAuthz({ channel, ...options } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
