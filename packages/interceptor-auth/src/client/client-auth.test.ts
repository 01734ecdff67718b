import { status as Code, Metadata } from '@grpc/grpc-js'
import { type ClientCall, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientAuthOptions, clientAuth as clientAuthOf, serverAuth, type TokenRequest } from '../index.ts'

let server: TestServer
beforeEach(async () => {
  server = await startTestServer()
})
afterEach(() => server.stop())

// Over plaintext, which encrypted-only.test.ts is about.
const clientAuth = (options: ClientAuthOptions) => clientAuthOf({ allowInsecure: true, ...options })

const authorization = (rpc: ServerRpc | undefined) => rpc?.metadata.get('authorization')
const lasting = (token: string) => ({ token, expiresAt: Date.now() + 3_600_000 })

describe('clientAuth', () => {
  for (const pattern of patterns) {
    // reference: flaw 23, sentence 17, symbol 59
    it(`authenticates calls of every pattern: ${pattern}`, async () => {
      const client = server.client(clientAuth({ token: 'secret' }))
      expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
      expect(authorization(server.calls[0])).toEqual(['Bearer secret'])
    })
  }

  it('leaves the metadata of the caller as it was', async () => {
    const metadata = metadataOf({ 'x-own': 'yes' })
    await runRpc(server.client(clientAuth({ token: 'secret' })), 'unary', { metadata })
    expect(metadata.getMap()).toEqual({ 'x-own': 'yes' })
  })

  it('sends other schemes, other headers and bare keys', async () => {
    await runRpc(server.client(clientAuth({ token: 'k', header: 'X-Api-Key', scheme: '' })), 'unary')
    await runRpc(server.client(clientAuth({ token: 'k', scheme: 'Token' })), 'unary')
    expect(server.calls[0]?.metadata.get('x-api-key')).toEqual(['k'])
    expect(authorization(server.calls[1])).toEqual(['Token k'])
  })
})

describe('a token that has expired when the provider returns it', () => {
  const providers: [string, ClientAuthOptions['token']][] = [
    ['at once', () => ({ token: 'old', expiresAt: Date.now() - 1 })],
    ['later', async () => ({ token: 'old', expiresAt: Date.now() - 1 })],
    ['in seconds instead of milliseconds', async () => ({ token: 'old', expiresAt: Date.now() / 1000 + 3600 })],
  ]
  for (const [how, token] of providers) {
    it.each(patterns)(`is not sent: ${how}, %s`, async (pattern) => {
      for (const refreshOnUnauthenticated of [true, false]) {
        const rpc = await runRpc(server.client(clientAuth({ token, refreshOnUnauthenticated })), pattern)
        expect(rpc.status?.code).toBe(Code.UNAUTHENTICATED)
        expect(rpc.status?.details).toContain('epoch milliseconds')
        expect(server.calls).toHaveLength(0)
      }
    })
  }
})

// reference: flaw 25, symbol 61
describe('there is one header, and none is overwritten silently', () => {
  const metadata = metadataOf({ authorization: 'Basic own' })

  it('keeps what the caller set, and asks for no token', async () => {
    let asked = 0
    const client = server.client(clientAuth({ token: () => `t${++asked}` }))
    await runRpc(client, 'unary', { metadata })
    expect(authorization(server.calls[0])).toEqual(['Basic own'])
    expect(asked).toBe(0)
  })

  it('replaces it when told to', async () => {
    await runRpc(server.client(clientAuth({ token: 'secret', callerHeader: 'replace' })), 'unary', { metadata })
    expect(authorization(server.calls[0])).toEqual(['Bearer secret'])
  })
})

// reference: flaw 26
describe('waiting for a token', () => {
  it('ends at the deadline of the call', async () => {
    const client = server.client(clientAuth({ token: () => new Promise<string>(() => undefined) }))
    const rpc = await runRpc(client, 'unary', { options: { deadline: Date.now() + 50 } })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(server.calls).toHaveLength(0)
  })

  for (const pattern of patterns) {
    it(`ends when the call is cancelled: ${pattern}`, async () => {
      const asked = new Gate()
      const token = () => {
        asked.open()
        return new Promise<string>(() => undefined)
      }
      const rpc = startRpc(server.client(clientAuth({ token })), pattern, { requests: [{}] })
      await asked.opened
      rpc.cancel()
      expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
      expect(server.calls).toHaveLength(0)
    })
  }

  it('is not ended for others by the one who cancels', async () => {
    const gate = new Gate()
    let asked = 0
    const token = async () => {
      asked++
      await gate.opened
      return lasting('secret')
    }
    const client = server.client(clientAuth({ token }))
    const first = startRpc(client, 'unary')
    const second = startRpc(client, 'unary')
    first.cancel()
    await first.done
    gate.open()
    expect((await second.done).status?.code).toBe(Code.OK)
    expect(asked).toBe(1)
  })

  it('happens once for calls at the same time, and never again while the token lasts', async () => {
    let asked = 0
    const token = async () => {
      asked++
      await settle()
      return lasting('secret')
    }
    const client = server.client(clientAuth({ token }))
    await Promise.all(Array.from({ length: 50 }, (_, n) => runRpc(client, patterns[n % 4]!)))
    await runRpc(client, 'unary')
    expect(asked).toBe(1)
    expect(server.calls).toHaveLength(51)
  })

  it('keeps the order of what a stream sends meanwhile', async () => {
    const gate = new Gate()
    const client = server.client(clientAuth({ token: () => gate.opened.then(() => 'secret') }))
    const rpc = startRpc(client, 'clientStream', { requests: [{ text: 'a' }, { text: 'b' }, { text: 'c' }] })
    gate.open()
    await rpc.done
    expect(rpc.messages).toEqual([{ n: 3, text: 'abc' }])
  })

  it('fails the call when the provider does', async () => {
    const client = server.client(clientAuth({ token: () => Promise.reject(new Error('no route to the login')) }))
    const rpc = await runRpc(client, 'unary')
    expect(rpc.status?.code).toBe(Code.UNAVAILABLE)
    expect(rpc.error?.details).toContain('no route to the login')
  })

  it('fails the call when the provider throws', async () => {
    const token = () => {
      throw new RpcError(Code.UNAUTHENTICATED, 'log in first')
    }
    const rpc = await runRpc(server.client(clientAuth({ token })), 'serverStream')
    expect(rpc.status).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'log in first' })
  })
})

// reference: flaw 27
describe('a token the server refuses', () => {
  /** A server that takes this token only. */
  async function serverTaking(valid: () => string): Promise<void> {
    await server.stop()
    server = await startTestServer({
      interceptors: [
        serverAuth({ verify: (token) => (token === valid() ? { subject: 'alice' } : null), cache: false }),
      ],
    })
  }

  for (const pattern of patterns) {
    it(`is replaced, and the call repeated, once: ${pattern}`, async () => {
      await serverTaking(() => 't2')
      let asked = 0
      const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`) }))
      const requests = [{ text: 'a', n: 2 }, { text: 'b' }]
      const rpc = await runRpc(client, pattern, {
        requests: pattern === 'clientStream' || pattern === 'bidi' ? requests : requests.slice(0, 1),
      })
      expect(rpc.status?.code).toBe(Code.OK)
      expect(asked).toBe(2)
      expect(server.calls).toHaveLength(1)
      if (pattern === 'clientStream') expect(rpc.messages).toEqual([{ n: 2, text: 'ab' }])
    })

    it(`ends the call when the next one is refused too: ${pattern}`, async () => {
      await serverTaking(() => 'never')
      let asked = 0
      const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`) }))
      const rpc = await runRpc(client, pattern)
      expect(rpc.status?.code).toBe(Code.UNAUTHENTICATED)
      expect(asked).toBe(2)
    })
  }

  it('is replaced once for all calls that were refused with it', async () => {
    await serverTaking(() => 't2')
    let asked = 0
    const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`) }))
    const rpcs = await Promise.all(Array.from({ length: 40 }, (_, n) => runRpc(client, patterns[n % 4]!)))
    expect(rpcs.map(({ status }) => status?.code)).toEqual(Array(40).fill(Code.OK))
    expect(asked).toBe(2)
  })

  it('is not fetched anew by a late refusal of an older one', async () => {
    const gate = new Gate()
    let asked = 0
    const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`) }))
    const refuse = endWith({ code: Code.UNAUTHENTICATED })
    const late = startRpc(client, 'unary', {
      metadata: server.behave(async (rpc) => {
        if (authorization(rpc)?.[0] === 'Bearer t1') {
          await gate.opened
          await refuse(rpc)
        } else rpc.end()
      }),
    })
    await server.received(0)
    await runRpc(client, 'unary', {
      metadata: server.behave((rpc) => (authorization(rpc)?.[0] === 'Bearer t1' ? refuse(rpc) : rpc.end())),
    })
    expect(asked).toBe(2)
    gate.open()
    expect((await late.done).status?.code).toBe(Code.OK)
    expect(asked).toBe(2)
  })

  it('does not cause a storm of fetches when the server refuses everything', async () => {
    await serverTaking(() => 'never')
    const clock = new FakeClock(Date.now())
    let asked = 0
    const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`), clock }))
    for (let n = 0; n < 20; n++) await runRpc(client, 'unary')
    expect(asked).toBe(2)
  })

  it('given as a string is not sent twice', async () => {
    await serverTaking(() => 'never')
    const seen: unknown[] = []
    await server.stop()
    server = await startTestServer({
      interceptors: [
        function look(call, next) {
          seen.push(call.metadata.get('authorization'))
          return next()
        },
        serverAuth({ verify: () => null }),
      ],
    })
    await runRpc(server.client(clientAuth({ token: 'constant' })), 'unary')
    expect(seen).toEqual([['Bearer constant']])
  })

  it('is not sent twice when the provider has no other', async () => {
    let refused = 0
    const client = server.client(clientAuth({ token: async () => lasting('same') }))
    server.behaviour = (rpc) => {
      refused++
      return endWith({ code: Code.UNAUTHENTICATED, details: 'not you' })(rpc)
    }
    const rpc = await runRpc(client, 'unary')
    expect(rpc.status?.details).toBe('not you')
    expect(refused).toBe(1)
  })

  it('tells the refusal, not the failure to get another', async () => {
    let asked = 0
    const token = async () => {
      if (++asked > 1) throw new Error('down')
      return lasting('t1')
    }
    server.behaviour = endWith({ code: Code.UNAUTHENTICATED, details: 'not you' })
    const rpc = await runRpc(server.client(clientAuth({ token })), 'unary')
    expect(rpc.status).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'not you' })
  })

  for (const code of [Code.PERMISSION_DENIED, Code.UNAVAILABLE, Code.INTERNAL]) {
    it(`is not suspected because of ${Code[code]}`, async () => {
      let asked = 0
      server.behaviour = endWith({ code })
      await runRpc(server.client(clientAuth({ token: async () => lasting(`t${++asked}`) })), 'unary')
      expect(asked).toBe(1)
    })
  }

  it('is not replaced once something of the response was delivered', async () => {
    let asked = 0
    server.behaviour = async (rpc) => {
      await rpc.write({ text: 'first' })
      rpc.end({ code: Code.UNAUTHENTICATED })
    }
    const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`) }))
    const rpc = await runRpc(client, 'serverStream')
    expect(rpc.status?.code).toBe(Code.UNAUTHENTICATED)
    expect(rpc.messages).toHaveLength(1)
    expect([asked, server.calls.length]).toEqual([1, 1])
  })

  it('is not replaced once the request stream has outgrown what is kept', async () => {
    let asked = 0
    server.behaviour = async (rpc) => {
      await rpc.readAll()
      rpc.end({ code: Code.UNAUTHENTICATED })
    }
    const client = server.client(clientAuth({ token: async () => lasting(`t${++asked}`), replay: { maxMessages: 1 } }))
    const rpc = await runRpc(client, 'clientStream', { requests: [{ text: 'a' }, { text: 'b' }] })
    expect(rpc.status?.code).toBe(Code.UNAUTHENTICATED)
    expect(asked).toBe(1)
  })

  it('is left alone on methods that are excluded', async () => {
    let asked = 0
    server.behaviour = endWith({ code: Code.UNAUTHENTICATED })
    const token = async () => lasting(`t${++asked}`)
    await runRpc(server.client(clientAuth({ token, refreshOnUnauthenticated: false })), 'unary')
    await runRpc(server.client(clientAuth({ token, refreshOnUnauthenticated: { pattern: 'bidi' } })), 'unary')
    expect(asked).toBe(2)
  })
})

// reference: flaw 28, sentence 18
it('inside a retrying interceptor, each attempt has the token of its time', async () => {
  const retryOnce: Interceptor<ClientCall> = async function retryOnce(call, next) {
    call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
    const status = await next()
    return status.code === Code.UNAVAILABLE ? next() : status
  }
  let asked = 0
  server.behaviour = (rpc) => rpc.end({ code: server.calls.length === 1 ? Code.UNAVAILABLE : Code.OK })
  const client = server.client(retryOnce, clientAuth({ token: () => `t${++asked}` }))
  expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  expect(server.calls.map(authorization)).toEqual([['Bearer t1'], ['Bearer t2']])
})

// reference: flaw 29
describe('a token goes to whom it is for', () => {
  const token = async ({ audience }: TokenRequest) => lasting(`for-${audience}`)

  it('one token per audience, each fetched once', async () => {
    const asked: unknown[] = []
    const client = server.client(
      clientAuth({
        token: (request) => {
          asked.push(request.audience)
          return token(request)
        },
        audience: (call) => call.method.name,
      }),
    )
    for (const pattern of [...patterns, ...patterns]) await runRpc(client, pattern)
    expect(asked).toEqual(['Unary', 'ClientStream', 'ServerStream', 'Bidi'])
    expect(server.calls.map(authorization)).toEqual([...asked, ...asked].map((name) => [`Bearer for-${name}`]))
  })

  it('a function that answers with a promise is a mistake, and no token leaves', async () => {
    const client = server.client(clientAuth({ token, audience: (() => Promise.reject(new Error('late'))) as never }))
    const { status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.INTERNAL)
    expect(server.calls).toHaveLength(0)
  })

  it('audiences are remembered up to a number', async () => {
    const asked: unknown[] = []
    let n = 0
    const client = server.client(
      clientAuth({
        token: (request) => {
          asked.push(request.audience)
          return token(request)
        },
        audience: () => `a${n++ % 3}`,
        maxAudiences: 2,
      }),
    )
    for (let call = 0; call < 6; call++) await runRpc(client, 'unary')
    expect(asked).toHaveLength(6)
  })

  it('a constant audience is handed to the provider', async () => {
    await runRpc(server.client(clientAuth({ token, audience: 'https://shop' })), 'unary')
    expect(authorization(server.calls[0])).toEqual(['Bearer for-https://shop'])
  })
})

describe('wrong options', () => {
  const wrong: [string, unknown, RegExp][] = [
    ['no options', undefined, /clientAuth: options must be an object/],
    ['no token', {}, /option "token" must be a string or a function/],
    ['an empty token', { token: '' }, /option "token" must be visible ASCII/],
    ['a token with its scheme', { token: 'Bearer abc' }, /the bare token/],
    ['a line break', { token: 'a\n' }, /visible ASCII/],
    ['a misspelt option', { token: 'a', allowInsecur: true }, /unknown option "allowInsecur"/],
    ['a text for a switch', { token: 'a', allowInsecure: 'yes' }, /option "allowInsecure" must be true or false/],
    ['a binary header', { token: 'a', header: 'auth-bin' }, /option "header"/],
    ['another value for the header of callers', { token: 'a', callerHeader: 'append' }, /option "callerHeader"/],
    ['a negative time', { token: 'a', timeoutMs: -1 }, /option "timeoutMs" must be a number of milliseconds ≥ 1/],
    ['a wild jitter', { token: 'a', backoff: { jitter: 2 } }, /option "backoff.jitter"/],
    ['a bound that is none', { token: 'a', replay: { maxBytes: Number.NaN } }, /option "replay.maxBytes"/],
    ['a matcher that is none', { token: 'a', refreshOnUnauthenticated: '/a' }, /option "refreshOnUnauthenticated"/],
  ]
  for (const [what, options, message] of wrong) {
    it(`${what}: throws at once, and never repeats the token`, () => {
      const make = () => clientAuthOf(options as ClientAuthOptions)
      expect(make).toThrow(TypeError)
      expect(make).toThrow(message)
      expect(make).not.toThrow(/abc/)
    })
  }
})

it('sends what the metadata of grpc-js can carry', () => {
  // The bound that isSendable() puts on a token is inside the one grpc-js puts on a value.
  const every = Array.from({ length: 0x7f - 0x21 }, (_, n) => String.fromCharCode(0x21 + n)).join('')
  expect(() => new Metadata().set('authorization', `Bearer ${every}`)).not.toThrow()
  expect(() => clientAuthOf({ token: every })).not.toThrow()
})
