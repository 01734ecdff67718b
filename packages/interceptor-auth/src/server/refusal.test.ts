import { promisify } from 'node:util'
import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { createServer, type Interceptor } from '@grpc-stack/grpc-core'
import {
  FakeClock,
  Gate,
  patterns,
  runRpc,
  settle,
  startRpc,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import {
  alice,
  answerTo,
  carrying,
  good,
  REFUSED,
  startAuthServer,
  stopAuthServers,
  verify,
} from '../../test/auth-server.ts'
import { type Decision, type ServerAuthOptions, serverAuth, shareable } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

// reference: flaw 46, symbol 71
describe('a refusal is the same for every kind of call and of client', () => {
  const clients = {
    'sends nothing and is done': { requests: [] },
    'sends nothing and waits': {},
    'sends everything': { requests: Array.from({ length: 50 }, () => ({ text: 'x', data: 'y'.repeat(10_000) })) },
  }
  const verifiers: Record<string, ServerAuthOptions['verify']> = {
    'at once': verify,
    asynchronous: async (token) => verify(token),
  }
  for (const pattern of patterns) {
    for (const [client, settings] of Object.entries(clients)) {
      for (const [kind, verifier] of Object.entries(verifiers)) {
        it(`${pattern}, a client that ${client}, a verifier that answers ${kind}`, async () => {
          const tapped: unknown[] = []
          const tap: Interceptor = function tap(call, next) {
            call.onRequest((message) => void tapped.push(message))
            return next()
          }
          server = await startAuthServer({ verify: verifier }, { before: [tap] })
          const rpc = await startRpc(server.client(), pattern, { ...settings, ...carrying('Bearer bad') }).done
          expect(rpc.status).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'No valid credentials' })
          // Trailers-only: no headers came before, and nothing of the request was read.
          expect(rpc.events).not.toContain('metadata')
          expect(rpc.messages).toEqual([])
          expect(tapped).toEqual([])
          expect(server.calls).toEqual([])
        })
      }
    }
  }

  it('and does not wait for anything: the client is told before it half-closes', async () => {
    server = await startAuthServer({ verify })
    for (const pattern of ['clientStream', 'bidi'] as const) {
      const rpc = startRpc(server.client(), pattern, carrying('Bearer bad'))
      expect((await rpc.done).status?.code).toBe(Code.UNAUTHENTICATED)
    }
  })
})

// reference: flaw 52
describe('refusals tell nothing, the audit log tells all, and guessing is bounded', () => {
  it('has one text for every credential that fails, and none of it is the credential', async () => {
    server = await startAuthServer({ verify })
    const answers = [undefined, '', 'Basic x', 'Bearer', 'Bearer bad', 'Bearer a b', `Bearer ${'x'.repeat(9000)}`]
    expect(new Set(await Promise.all(answers.map((answer) => answerTo(server, answer))))).toEqual(new Set([REFUSED]))
  })

  it('tells onDecision who, why and by whom, and survives what that throws', async () => {
    const log: unknown[] = []
    server = await startAuthServer({
      verify: (token) => {
        if (token === 'odd') throw new Error('signature')
        return verify(token)
      },
      authorize: (_principal, call) => call.method.name !== 'Bidi',
      public: '/grpcstack.testing.Test/ServerStream',
      onDecision: ({ call, ...decision }: Decision) => {
        log.push({ ...decision, method: call.method.name })
        if (log.length % 2 === 0) throw new Error('disk full')
        return Promise.reject(new Error('disk full')) as never
      },
    })
    const client = server.client()
    await runRpc(client, 'serverStream')
    await runRpc(client, 'unary')
    await runRpc(client, 'unary', carrying('Bearer odd'))
    await runRpc(client, 'bidi', good)
    await runRpc(client, 'unary', good)
    const principal = { ...alice, authenticator: 'bearer' }
    expect(log).toEqual([
      { allowed: true, reason: 'public', method: 'ServerStream' },
      { allowed: false, reason: 'missing', method: 'Unary' },
      { allowed: false, reason: 'invalid', authenticator: 'bearer', cause: new Error('signature'), method: 'Unary' },
      { allowed: false, reason: 'unauthorized', principal, authenticator: 'bearer', method: 'Bidi' },
      { allowed: true, reason: 'authorized', principal, authenticator: 'bearer', method: 'Unary' },
    ])
  })

  it('shows observers in this process the cause, and the peer nothing of it', async () => {
    const causes: unknown[] = []
    const observe: Interceptor = async function observe(_call, next) {
      const status = await next()
      causes.push([status.refusedBy, (status.cause as Error)?.message])
      return status
    }
    server = await startAuthServer(
      {
        verify: () => {
          throw new Error('key k1 has been withdrawn')
        },
      },
      { before: [observe] },
    )
    const rpc = await runRpc(server.client(), 'unary', good)
    expect(causes).toEqual([['serverAuth', 'key k1 has been withdrawn']])
    expect(JSON.stringify([rpc.status, rpc.error])).not.toContain('withdrawn')
  })

  it('refuses a peer with too many failures unverified, but not whom it knows', async () => {
    const clock = new FakeClock(Date.now())
    const asked: string[] = []
    server = await startAuthServer({
      verify: shareable((token) => {
        asked.push(token)
        return token.startsWith('good') ? alice : null
      }),
      failureLimit: { max: 3, perMs: 1000 },
      clock,
    })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    for (const token of ['a', 'b', 'c']) expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
    expect(await answerTo(server, 'Bearer d')).toBe('RESOURCE_EXHAUSTED: Too many failed attempts')
    expect(await answerTo(server, 'Bearer good2')).toBe('RESOURCE_EXHAUSTED: Too many failed attempts')
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(asked).toEqual(['good', 'a', 'b', 'c'])
    await clock.advance(1000)
    expect(await answerTo(server, 'Bearer good2')).toBe('OK: OK')
  })
})

// reference: flaw 53
describe('unregistered methods', () => {
  it('are UNAUTHENTICATED first, and UNIMPLEMENTED only for who may know', async () => {
    const unknown = createServer({ interceptors: [serverAuth({ verify })] })
    const bind = promisify(unknown.bindAsync.bind(unknown))
    const port = await bind('127.0.0.1:0', ServerCredentials.createInsecure())
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      for (const pattern of patterns) {
        expect((await runRpc(client, pattern)).status?.code).toBe(Code.UNAUTHENTICATED)
        expect((await runRpc(client, pattern, good)).status?.code).toBe(Code.UNIMPLEMENTED)
      }
    } finally {
      client.close()
      unknown.forceShutdown()
    }
  })
})

it('a client that cancels while its token is verified never reaches the handler', async () => {
  const gate = new Gate()
  const asked = new Gate()
  server = await startAuthServer({
    verify: async () => {
      asked.open()
      await gate.opened
      return alice
    },
  })
  const rpc = startRpc(server.client(), 'bidi', good)
  await asked.opened
  rpc.cancel()
  await rpc.done
  gate.open()
  await settle(20)
  expect(server.calls).toHaveLength(0)
})
