import { status as Code } from '@grpc/grpc-js'
import { healthAndReflection, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  echo,
  FakeClock,
  Gate,
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import {
  answerTo,
  carrying,
  DOWN,
  good,
  REFUSED,
  startAuthServer,
  stopAuthServers,
  verify,
} from '../../test/auth-server.ts'
import { type Principal, principalVar, type ServerAuthOptions, serverAuth } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

// reference: flaw 51
describe('public methods, a principal with claims, and permission', () => {
  it('denies by default: health checks and reflection, too', async () => {
    server = await startAuthServer({ verify })
    expect(await answerTo(server)).toBe(REFUSED)
    const paths = ['/grpc.health.v1.Health/Check', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo']
    expect(paths.map((path) => healthAndReflection(methodOf(path)))).toEqual([true, true])
  })

  it('lets public methods through without credentials, without a look at them, and without a principal', async () => {
    let asked = 0
    const seen: unknown[] = []
    server = await startAuthServer(
      {
        verify: () => {
          asked++
          return null
        },
        public: { pattern: ['unary', 'bidi'] },
      },
      {
        behaviour: (rpc) => {
          seen.push(principalVar.get(undefined))
          return echo(rpc)
        },
      },
    )
    const client = server.client()
    for (const pattern of ['unary', 'bidi'] as const) {
      for (const settings of [{}, carrying('Bearer bad')]) {
        expect((await runRpc(client, pattern, settings)).status?.code).toBe(Code.OK)
      }
    }
    expect((await runRpc(client, 'serverStream', {})).status?.code).toBe(Code.UNAUTHENTICATED)
    expect(asked).toBe(0)
    expect(seen).toEqual([undefined, undefined, undefined, undefined])
  })

  for (const pattern of patterns) {
    // reference: symbol 68
    it(`shows handlers and inner interceptors the principal, frozen: ${pattern}`, async () => {
      const seen: unknown[] = []
      const inner: Interceptor = async function inner(_call, next) {
        seen.push(principalVar.get())
        const status = await next()
        seen.push(principalVar.get())
        return status
      }
      server = await startAuthServer(
        { verify: () => ({ subject: 'alice', claims: { roles: ['reader'] } }) },
        {
          after: [inner],
          behaviour: (rpc) => {
            seen.push(principalVar.get())
            return echo(rpc)
          },
        },
      )
      const rpc = await runRpc(server.client(), pattern, good)
      expect(rpc.status?.code).toBe(Code.OK)
      await settle()
      expect(seen).toHaveLength(3)
      for (const principal of seen as Principal[]) {
        expect(principal).toEqual({ subject: 'alice', claims: { roles: ['reader'] }, authenticator: 'bearer' })
        expect(() => Object.assign(principal, { subject: 'mallory' })).toThrow(TypeError)
        expect(() => (principal.claims as { roles: string[] }).roles.push('admin')).toThrow(TypeError)
      }
    })
  }

  it("keeps concurrent calls' principals apart", async () => {
    const gate = new Gate()
    const seen: string[] = []
    server = await startAuthServer(
      { verify: (token) => ({ subject: token }) },
      {
        behaviour: async (rpc) => {
          await gate.opened
          seen.push(`${rpc.metadata.get('authorization')[0]}=${principalVar.get().subject}`)
          await echo(rpc)
        },
      },
    )
    const client = server.client()
    const rpcs = Array.from({ length: 20 }, (_, n) => runRpc(client, patterns[n % 4]!, carrying(`Bearer user${n}`)))
    await server.received(19)
    gate.open()
    await Promise.all(rpcs)
    expect(seen.toSorted()).toEqual(Array.from({ length: 20 }, (_, n) => `Bearer user${n}=user${n}`).toSorted())
  })

  const decisions: [string, unknown, string][] = [
    ['true', true, 'OK: OK'],
    ['false', false, 'PERMISSION_DENIED: Permission denied'],
    ['nothing', undefined, 'PERMISSION_DENIED: Permission denied'],
    ['an object', { allowed: true }, 'PERMISSION_DENIED: Permission denied'],
    ['1', 1, 'PERMISSION_DENIED: Permission denied'],
  ]
  for (const [what, decision, answer] of decisions) {
    it(`authorize that answers ${what}: ${answer}`, async () => {
      server = await startAuthServer({ verify, authorize: () => decision as boolean })
      expect(await answerTo(server, 'Bearer good')).toBe(answer)
      await stopAuthServers()
      server = await startAuthServer({ verify, authorize: async () => decision as boolean })
      expect(await answerTo(server, 'Bearer good')).toBe(answer)
    })
  }

  const failures: [string, () => unknown, string][] = [
    ['throws', () => new Error('database'), 'INTERNAL: Internal error'],
    ['is denied itself', () => new RpcError(Code.PERMISSION_DENIED, 'x'), 'PERMISSION_DENIED: Permission denied'],
    ['is cut off', () => new RpcError(Code.UNAVAILABLE, 'x'), DOWN],
  ]
  for (const [what, error, answer] of failures) {
    it(`authorize that ${what}: ${answer}`, async () => {
      server = await startAuthServer({
        verify,
        authorize: () => {
          throw error()
        },
      })
      expect(await answerTo(server, 'Bearer good')).toBe(answer)
      await stopAuthServers()
      server = await startAuthServer({ verify, authorize: () => Promise.reject(error()) })
      expect(await answerTo(server, 'Bearer good')).toBe(answer)
    })
  }

  it('authorize is not waited for once the call has ended', async () => {
    const clock = new FakeClock(Date.now())
    const reasons: string[] = []
    server = await startAuthServer({
      verify,
      authorize: () => new Promise(() => undefined),
      onDecision: ({ reason }) => void reasons.push(reason),
      clock,
    })
    const rpc = startRpc(server.client(), 'bidi', good)
    await clock.timerSet()
    rpc.cancel()
    await rpc.done
    while (reasons.length === 0) await settle(1)
    expect(reasons).toEqual(['cancelled'])
    expect(clock.pending).toBe(0)
  })

  it('authorize whose answer cannot be read does not let through', async () => {
    const unreadable = Object.defineProperty({}, 'then', {
      get: () => {
        throw new Error('boom')
      },
    })
    server = await startAuthServer({ verify, authorize: () => unreadable as never })
    expect(await answerTo(server, 'Bearer good')).toBe('INTERNAL: Internal error')
  })

  it('authorize is asked for every call, sees principal and call, and is bounded in time', async () => {
    const clock = new FakeClock(Date.now())
    const asked: unknown[] = []
    server = await startAuthServer({
      verify,
      authorize: (principal, call) => {
        asked.push([principal.subject, call.method.name])
        return call.method.name === 'Unary' ? true : new Promise(() => undefined)
      },
      clock,
    })
    await answerTo(server, 'Bearer good')
    await answerTo(server, 'Bearer good')
    const rpc = startRpc(server.client(), 'bidi', good)
    await clock.timerSet()
    await clock.advance(5000)
    expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
    expect(asked).toEqual([
      ['alice', 'Unary'],
      ['alice', 'Unary'],
      ['alice', 'Bidi'],
    ])
    expect(clock.pending).toBe(0)
  })

  function methodOf(path: string) {
    const [, service = '', name = ''] = path.split('/')
    return {
      path,
      service,
      name,
      pattern: 'unary',
      requestStream: false,
      responseStream: false,
      registered: true,
    } as const
  }
})

// reference: flaw 54
describe('streams whose credential expires', () => {
  for (const pattern of ['clientStream', 'serverStream', 'bidi'] as const) {
    it(`end with UNAUTHENTICATED when asked to: ${pattern}`, async () => {
      const clock = new FakeClock(Date.now())
      const expiresAt = clock.now() + 60_000
      server = await startAuthServer(
        { verify: () => ({ subject: 'alice', expiresAt }), endStreamsOnExpiry: true, clock },
        { behaviour: manual },
      )
      const rpc = startRpc(server.client(), pattern, good)
      const handler = await server.received(0)
      await clock.advance(59_999)
      await settle()
      expect(rpc.isDone).toBe(false)
      await clock.advance(1)
      expect((await rpc.done).status).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'No valid credentials' })
      await handler.closed
      expect(handler.cancelled).toBe(true)
      expect(clock.pending).toBe(0)
    })

    it(`go on otherwise, and leave no timer: ${pattern}`, async () => {
      const clock = new FakeClock(Date.now())
      const expiresAt = clock.now() + 60_000
      server = await startAuthServer({ verify: () => ({ subject: 'alice', expiresAt }), clock }, { behaviour: manual })
      const rpc = startRpc(server.client(), pattern, good)
      const handler = await server.received(0)
      await clock.advance(120_000)
      handler.end()
      expect((await rpc.done).status?.code).toBe(Code.OK)
      expect(clock.pending).toBe(0)
    })
  }

  it('that end before it leave no timer', async () => {
    const clock = new FakeClock(Date.now())
    const expiresAt = clock.now() + 1e12
    server = await startAuthServer({ verify: () => ({ subject: 'alice', expiresAt }), endStreamsOnExpiry: true, clock })
    for (const pattern of patterns) {
      expect((await runRpc(server.client(), pattern, good)).status?.code).toBe(Code.OK)
    }
    await settle()
    expect(clock.pending).toBe(0)
  })

  it('end in far future only: a timer of Node would overflow', async () => {
    const expiresAt = Date.now() + 2 ** 40
    server = await startAuthServer(
      { verify: () => ({ subject: 'alice', expiresAt }), endStreamsOnExpiry: true },
      { behaviour: manual },
    )
    const rpc = startRpc(server.client(), 'bidi', good)
    const handler = await server.received(0)
    await handler.write({ text: 'still here' })
    await rpc.messageSeen
    expect(rpc.isDone).toBe(false)
    rpc.cancel()
    await rpc.done
  })
})

describe('wrong options', () => {
  const wrong: [string, unknown, RegExp][] = [
    ['no options', undefined, /serverAuth: options must be an object/],
    ['no verifier', {}, /option "verify" must be a function or an authenticator/],
    ['an empty list', { verify: [] }, /option "verify"/],
    ['a verifier that is none', { verify: [verify, 'jwt'] }, /option "verify\[1\]"/],
    ['a misspelt option', { verify, authorise: () => true }, /unknown option "authorise"/],
    ['a matcher that is none', { verify, public: '/x' }, /option "public"/],
    ['a decision that is none', { verify, authorize: true }, /option "authorize" must be a function/],
    ['two words for a scheme', { verify, scheme: 'a b' }, /option "scheme"/],
    ['an unknown option of the cache', { verify, cache: { ttl: 1 } }, /option "cache": unknown option "ttl"/],
    ['a bound that is none', { verify, maxConcurrent: 0 }, /option "maxConcurrent"/],
    ['a limit without a number', { verify, failureLimit: {} }, /option "failureLimit.max"/],
  ]
  for (const [what, options, message] of wrong) {
    it(`${what}: throws at once`, () => {
      expect(() => serverAuth(options as ServerAuthOptions)).toThrow(TypeError)
      expect(() => serverAuth(options as ServerAuthOptions)).toThrow(message)
    })
  }
})
