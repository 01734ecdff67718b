import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import { ContextVar, type Interceptor, propagate, type ServerInterceptorLike } from '@grpc-stack/grpc-core'
import {
  echo,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestClient,
  type TestPattern,
  type TestServer,
  type TestServerOptions,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { startIssuer } from '../../test/issuer.ts'
import { clientAuth, serverAuth, type TokenProvider, type TokenRequest } from '../index.ts'
import { jwt } from '../jwt.ts'
import { clientCredentials, type Fetch, introspection } from '../oauth2.ts'

const tenantVar = new ContextVar<string>('tenant')
const users = new AsyncLocalStorage<string>()

const started: TestServer[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop()
})

async function serve(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options)
  started.push(server)
  return server
}

const entering: Interceptor = (call, next) => {
  const name = String(call.metadata.get('tenant')[0])
  tenantVar.set(name)
  return users.run(name, () => next())
}

const hour = () => Date.now() + 3_600_000

/** An identity service that answers when the gate is opened, asked by RPCs that inherit what surrounds them. */
async function identityService() {
  const gate = new Gate()
  const server = await serve({
    behaviour: async (rpc) => {
      await gate.opened
      return echo(rpc)
    },
  })
  const client = server.client(propagate())
  const seen: unknown[] = []
  const ask = async (): Promise<void> => {
    seen.push(tenantVar.get('none'), users.getStore())
    const { status } = await runRpc(client, 'unary')
    seen.push(tenantVar.get('none'), users.getStore())
    if (status?.code !== Code.OK) throw new Error(`the identity service: ${status?.details}`)
  }
  return { gate, server, ask, seen }
}

/** A front that calls onward to a backend with a token, one call for each it handles. */
async function frontWith(token: TokenProvider, options: object = {}) {
  const backend = await serve()
  const onward = backend.client(clientAuth({ token, allowInsecure: true, ...options }))
  const front = await serve({
    interceptors: [entering],
    behaviour: async (rpc) => {
      const { status } = await runRpc(onward, rpc.pattern)
      rpc.end({ code: status?.code ?? Code.UNKNOWN, details: status?.details ?? '' })
    },
  })
  return { backend, front, client: front.client() }
}

const from = (tenant: string, deadline?: number) => ({
  metadata: metadataOf({ tenant, authorization: 'Bearer same' }),
  ...(deadline !== undefined && { options: { deadline } }),
})
const codeOf = (rpc: { status?: { code: Code } | undefined }) => Code[rpc.status?.code ?? -1]

/** Ends the first of two calls that share one piece of work; tells how the other ends, and one that comes after. */
async function firstLeaves(
  service: Awaited<ReturnType<typeof identityService>>,
  client: TestClient,
  pattern: TestPattern,
  how: 'cancel' | 'deadline',
): Promise<(string | undefined)[]> {
  const first = startRpc(client, pattern, how === 'deadline' ? from('first', Date.now() + 150) : from('first'))
  await service.server.received(0)
  const second = runRpc(client, pattern, from('second'))
  if (how === 'cancel') first.cancel()
  const ended = codeOf(await first.done)
  service.gate.open()
  return [ended, codeOf(await second), codeOf(await runRpc(client, pattern, from('third')))]
}

const HOW = { cancel: 'CANCELLED', deadline: 'DEADLINE_EXCEEDED' } as const

const fetchBy =
  (ask: () => Promise<void>, answer: () => unknown): Fetch =>
  async () => {
    await ask()
    return new Response(JSON.stringify(await answer()))
  }

const identity = {
  clientId: 'a',
  clientSecret: 'b',
  endpoint: 'https://id.example/',
  tokenEndpoint: 'https://id.example/',
}

describe('a token request that calls share belongs to none of them', () => {
  const providers: [string, (ask: () => Promise<void>) => TokenProvider][] = [
    [
      'a function declared async',
      (ask) => async () => {
        await ask()
        return { token: 'shared', expiresAt: hour() }
      },
    ],
    ['a function that returns a promise', (ask) => () => ask().then(() => ({ token: 'shared', expiresAt: hour() }))],
    [
      'clientCredentials',
      (ask) =>
        clientCredentials({
          ...(({ endpoint: _, ...rest }) => rest)(identity),
          fetch: fetchBy(ask, () => ({ access_token: 'shared', token_type: 'Bearer', expires_in: 3600 })),
        }),
    ],
  ]
  for (const [what, make] of providers) {
    for (const how of ['cancel', 'deadline'] as const) {
      it.each(patterns)(`${what}: the ${how} of the first caller fails no other: %s`, async (pattern) => {
        const service = await identityService()
        const { client } = await frontWith(make(service.ask))
        expect(await firstLeaves(service, client, pattern, how)).toEqual([HOW[how], 'OK', 'OK'])
        expect(service.server.calls).toHaveLength(1)
      })
    }

    it(`${what}: callers with short deadlines, one after another, do not make other calls fail`, async () => {
      const service = await identityService()
      const { client } = await frontWith(make(service.ask))
      const outcomes: (string | undefined)[] = []
      for (let n = 0; n < 3; n++) {
        const hasty = runRpc(client, 'unary', from('hasty', Date.now() + 30))
        outcomes.push(codeOf(await hasty))
      }
      const patient = runRpc(client, 'unary', from('patient'))
      service.gate.open()
      expect(codeOf(await patient)).toBe('OK')
      expect(outcomes).toEqual(['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'])
    })
  }

  it('and sees no ContextVar and no AsyncLocalStorage of theirs', async () => {
    const service = await identityService()
    service.gate.open()
    const { client } = await frontWith(async () => {
      await service.ask()
      return { token: 'shared', expiresAt: hour() }
    })
    expect(codeOf(await runRpc(client, 'unary', from('first')))).toBe('OK')
    expect(service.seen).toEqual(['none', undefined, 'none', undefined])
  })

  it('also when the function turns out only then to answer later', async () => {
    const service = await identityService()
    service.gate.open()
    const later: unknown[] = []
    const { client } = await frontWith(() => {
      const asked = service.ask().then(() => {
        later.push(tenantVar.get('none'))
        return 'bare'
      })
      return asked
    })
    await runRpc(client, 'unary', from('first'))
    expect(later).toEqual(['none'])
    await runRpc(client, 'unary', from('second'))
    // The second time it is known.
    expect(service.seen.slice(4)).toEqual(['none', undefined, 'none', undefined])
  })

  it('also when the interceptor was made while a call was handled', async () => {
    const service = await identityService()
    const backend = await serve()
    let onward: TestClient | undefined
    const front = await serve({
      interceptors: [entering],
      behaviour: async (rpc) => {
        onward ??= backend.client(
          clientAuth({
            token: async () => {
              await service.ask()
              return { token: 'shared', expiresAt: hour() }
            },
            allowInsecure: true,
          }),
        )
        const { status } = await runRpc(onward, 'unary')
        rpc.end({ code: status?.code ?? Code.UNKNOWN })
      },
    })
    expect(await firstLeaves(service, front.client(), 'unary', 'cancel')).toEqual(['CANCELLED', 'OK', 'OK'])
  })
})

describe('a provider that answers for one caller runs in the context of its call', () => {
  const ways: [string, TokenProvider, object][] = [
    ['at once', () => `${tenantVar.get()}-${users.getStore()}`, {}],
    [
      'later, with shared: false',
      async () => {
        const before = tenantVar.get()
        await new Promise((resolve) => setTimeout(resolve, 5))
        return `${before}-${users.getStore()}`
      },
      { shared: false },
    ],
    [
      'with an expiry, with shared: false',
      async () => ({ token: `${tenantVar.get()}-${users.getStore()}`, expiresAt: hour() }),
      { shared: false },
    ],
  ]
  for (const [what, token, options] of ways) {
    it.each(patterns)(`${what}: %s`, async (pattern) => {
      const { backend, client } = await frontWith(token, options)
      const names = ['ann', 'bob', 'eve', 'ann']
      await Promise.all(names.map((name) => runRpc(client, pattern, from(name))))
      const sent = backend.calls.map(({ metadata }) => metadata.get('authorization')[0])
      expect(sent.sort()).toEqual(names.map((name) => `Bearer ${name}-${name}`).sort())
    })

    it(`${what}: behind an interceptor that makes calls wait for each other`, async () => {
      const backend = await serve()
      let last: Promise<unknown> = Promise.resolve()
      const oneAtATime: Interceptor = async (_call, next) => {
        const before = last
        const gate = new Gate()
        last = gate.opened
        await before
        const status = await next()
        gate.open()
        return status
      }
      const onward = backend.client(oneAtATime, clientAuth({ token, allowInsecure: true, ...options }))
      await Promise.all(
        ['ann', 'bob'].map((name) =>
          users.run(name, async () => {
            await Promise.resolve()
            tenantVar.set(name)
            await runRpc(onward, 'unary')
          }),
        ),
      )
      const sent = backend.calls.map(({ metadata }) => metadata.get('authorization')[0])
      expect(sent).toEqual(['Bearer ann-ann', 'Bearer bob-bob'])
    })
  }

  it('and with shared: true in none, even if it answers at once', async () => {
    const { backend, client } = await frontWith(() => `of-${tenantVar.get('none')}-${users.getStore()}`, {
      shared: true,
    })
    await runRpc(client, 'unary', from('ann'))
    expect(backend.calls[0]?.metadata.get('authorization')).toEqual(['Bearer of-none-undefined'])
  })

  it('shared: false asks again when the server refuses the token', async () => {
    const asked: TokenRequest[] = []
    const server = await serve({
      interceptors: [serverAuth({ verify: (token) => (token === 't2' ? { subject: 'ann' } : null) })],
    })
    const token: TokenProvider = async (request) => {
      asked.push(request)
      return { token: `t${asked.length}`, expiresAt: hour() }
    }
    const client = server.client(clientAuth({ token, shared: false, allowInsecure: true }))
    expect(codeOf(await runRpc(client, 'unary'))).toBe('OK')
    expect(asked).toHaveLength(2)
  })

  it('another value than a boolean is refused', () => {
    expect(() => clientAuth({ token: () => 'a', shared: 'yes' as never })).toThrow(
      /option "shared" must be true or false/,
    )
  })
})

describe('what verifiers ask for belongs to none of the calls that share it', () => {
  const verifiers: [
    string,
    (ask: () => Promise<void>) => Promise<{ verify: (token: string) => never; token: string }>,
  ][] = [
    [
      'the key set',
      async (ask) => {
        const issuer = await startIssuer()
        await issuer.endpoint.close()
        const verify = jwt({
          jwks: 'https://id.example/keys',
          issuer: 'https://id.example.com/',
          audience: 'shop',
          remote: { fetch: fetchBy(ask, () => issuer.jwks()) },
        })
        return { verify: verify as never, token: await issuer.token() }
      },
    ],
    [
      'introspection',
      async (ask) => {
        const verify = introspection({
          ...(({ tokenEndpoint: _, ...rest }) => rest)(identity),
          fetch: fetchBy(ask, () => ({ active: true, sub: 'alice' })),
        })
        return { verify: verify as never, token: 'opaque' }
      },
    ],
  ]
  const kinds: [string, (interceptors: ServerInterceptorLike[]) => TestServerOptions][] = [
    ['a server of this library', (interceptors) => ({ interceptors })],
    ['a stock server', (interceptors) => ({ interceptors, stock: true })],
  ]
  for (const [what, make] of verifiers) {
    for (const [kind, options] of kinds) {
      for (const how of ['cancel', 'deadline'] as const) {
        it.each(patterns)(`${what}, ${kind}: the ${how} of the first caller fails no other: %s`, async (pattern) => {
          const service = await identityService()
          const { verify, token } = await make(service.ask)
          const server = await serve(options([entering, serverAuth({ verify })]))
          const client = server.client()
          const call = (tenant: string, deadline?: number) => ({
            metadata: metadataOf({ tenant, authorization: `Bearer ${token}` }),
            ...(deadline !== undefined && { options: { deadline } }),
          })
          const first = startRpc(client, pattern, how === 'deadline' ? call('a', Date.now() + 150) : call('a'))
          await service.server.received(0)
          const second = runRpc(client, pattern, call('b'))
          if (how === 'cancel') first.cancel()
          expect(codeOf(await first.done)).toBe(HOW[how])
          service.gate.open()
          expect(codeOf(await second)).toBe('OK')
          expect(codeOf(await runRpc(client, pattern, call('c')))).toBe('OK')
          expect(service.server.calls).toHaveLength(1)
          expect(service.seen.filter((_, n) => n % 2 === 0)).toEqual(['none', 'none'])
          if (what === 'the key set') expect(service.seen).toEqual(['none', undefined, 'none', undefined])
        })
      }
    }
  }
})
