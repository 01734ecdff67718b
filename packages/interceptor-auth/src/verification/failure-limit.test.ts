import { status as Code, credentials } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import {
  FakeClock,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import {
  answerTo,
  carrying,
  clientOf,
  DOWN,
  REFUSED,
  startAuthServer,
  stopAuthServers,
} from '../../test/auth-server.ts'
import { relayFrom } from '../../test/relay.ts'
import {
  apiKeys,
  bearer,
  hashApiKey,
  type ServerAuthOptions,
  shareable,
  type Verdict,
  VerifierUnavailableError,
} from '../index.ts'

let server: TestServer
const closers: (() => void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) close()
  await stopAuthServers()
})

const LIMITED = 'RESOURCE_EXHAUSTED: Too many failed attempts'
const known = (token: string): Verdict => (token.startsWith('good') ? { subject: token } : null)

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle(1)
}

/** How calls that were made at once ended, counted by code. */
async function counted(rpcs: Promise<{ status?: { code: Code } | undefined }>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { status } of await Promise.all(rpcs)) {
    const name = Code[status?.code ?? -1] ?? 'none'
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe('failureLimit bounds how many guesses are verified', () => {
  const verifiers: Record<string, (asked: string[]) => ServerAuthOptions['verify']> = {
    'asked for every call': (asked) => async (token) => {
      asked.push(token)
      await settle()
      return known(token)
    },
    shareable: (asked) =>
      shareable(async (token) => {
        asked.push(token)
        await settle()
        return known(token)
      }),
    'that answers at once': (asked) => (token) => {
      asked.push(token)
      return known(token)
    },
    'that refuses by an exception': (asked) => async (token) => {
      asked.push(token)
      await settle()
      throw new Error('bad signature')
    },
    'that asks an RPC': (asked) => async (token) => {
      asked.push(token)
      await settle()
      throw new RpcError(Code.PERMISSION_DENIED, 'no')
    },
  }
  for (const [which, make] of Object.entries(verifiers)) {
    for (const options of [{}, { maxConcurrent: 2 }]) {
      it(`when a thousand come at once, with a verifier ${which}, ${JSON.stringify(options)}`, async () => {
        const asked: string[] = []
        // No verification times out, and no failure is forgotten, however long a thousand calls take.
        const clock = new FakeClock(Date.now())
        server = await startAuthServer({ verify: make(asked), failureLimit: { max: 5 }, clock, ...options })
        const client = server.client()
        const guesses = Array.from({ length: 1000 }, (_, n) =>
          runRpc(client, patterns[n % 4]!, carrying(`Bearer guess-${n}`)),
        )
        const { RESOURCE_EXHAUSTED, ...refused } = await counted(guesses)
        expect(RESOURCE_EXHAUSTED).toBe(995)
        expect(Object.values(refused)).toEqual([5])
        expect(asked).toHaveLength(5)
      })
    }
  }

  it('and lets valid credentials that come at once through, however many there are', async () => {
    const asked: string[] = []
    server = await startAuthServer({
      verify: async (token) => {
        asked.push(token)
        await settle()
        return known(token)
      },
      failureLimit: { max: 3 },
    })
    const client = server.client()
    const rpcs = Array.from({ length: 50 }, (_, n) => runRpc(client, patterns[n % 4]!, carrying(`Bearer good-${n}`)))
    expect(await counted(rpcs)).toEqual({ OK: 50 })
    expect(asked).toHaveLength(50)
  })

  it('also of those that are cancelled', async () => {
    const gate = new Gate()
    const asked: string[] = []
    server = await startAuthServer({
      verify: async (token) => {
        asked.push(token)
        await gate.opened
        return known(token)
      },
      failureLimit: { max: 3 },
    })
    const client = server.client()
    for (let n = 0; n < 3; n++) {
      const rpc = startRpc(client, 'unary', carrying(`Bearer guess-${n}`))
      await until(() => asked.length === n + 1)
      rpc.cancel()
      await rpc.done
    }
    const fourth = startRpc(client, 'unary', carrying('Bearer guess-3'))
    await settle(20)
    expect(asked).toHaveLength(3)
    gate.open()
    expect((await fourth.done).status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(asked).toHaveLength(3)
  })

  it('of every credential of a call: one that is valid does not hide the other', async () => {
    const asked: string[] = []
    const keys = apiKeys({
      keys: (hash) => {
        asked.push(hash)
        return hash === hashApiKey('guess-42') ? { hash, subject: 'victim' } : null
      },
    })
    server = await startAuthServer({ verify: [keys, bearer(known)], failureLimit: { max: 3 } })
    const client = server.client()
    const subjects: unknown[] = []
    for (let n = 0; n < 50; n++) {
      const rpc = await runRpc(client, 'unary', {
        metadata: metadataOf({ 'x-api-key': `guess-${n}`, authorization: 'Bearer good' }),
      })
      subjects.push(Code[rpc.status?.code ?? -1])
    }
    // The bearer is valid, so the calls go on being let through, for what the bearer is.
    expect(new Set(subjects)).toEqual(new Set(['OK']))
    expect(asked).toHaveLength(3)
  })

  it('and of a call whose credentials are both wrong, each', async () => {
    server = await startAuthServer({
      verify: [apiKeys({ keys: [] }), bearer(known)],
      failureLimit: { max: 4 },
    })
    const wrong = (n: number) => metadataOf({ 'x-api-key': `k${n}`, authorization: `Bearer t${n}` })
    const codes = []
    for (let n = 0; n < 3; n++)
      codes.push((await runRpc(clientOf(server), 'unary', { metadata: wrong(n) })).status?.code)
    expect(codes).toEqual([Code.UNAUTHENTICATED, Code.UNAUTHENTICATED, Code.RESOURCE_EXHAUSTED])
  })

  it('but not of one that a later authenticator accepts', async () => {
    const none = async () => null
    server = await startAuthServer({
      verify: [none, shareable(none), async (token) => known(token)],
      failureLimit: { max: 2 },
    })
    const client = server.client()
    const rpcs = Array.from({ length: 20 }, (_, n) => runRpc(client, patterns[n % 4]!, carrying(`Bearer good-${n}`)))
    expect(await counted(rpcs)).toEqual({ OK: 20 })
    for (const n of [20, 21, 22]) expect(await answerTo(server, `Bearer good-${n}`)).toBe('OK: OK')
  })

  it('and one that all of them refuse counts once', async () => {
    const none = () => null
    server = await startAuthServer({ verify: [none, none, none], failureLimit: { max: 2 } })
    for (const token of ['a', 'b']) expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
    expect(await answerTo(server, 'Bearer c')).toBe(LIMITED)
  })

  it('also while another authenticator is down, except of what was valid before', async () => {
    let down = false
    const asked: string[] = []
    const first = (token: string): Verdict => {
      if (down) throw new VerifierUnavailableError('down')
      return known(token)
    }
    const second = (token: string) => {
      asked.push(token)
      return null
    }
    server = await startAuthServer({ verify: [first, second], failureLimit: { max: 2 } })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    down = true
    for (let n = 0; n < 5; n++) expect(await answerTo(server, 'Bearer good')).toBe(DOWN)
    asked.length = 0
    for (let n = 0; n < 5; n++) await answerTo(server, `Bearer guess-${n}`)
    expect(asked).toEqual(['guess-0', 'guess-1'])
    down = false
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
  })

  it('and calls with several credentials do not wait for each other’s', async () => {
    server = await startAuthServer({
      verify: [apiKeys({ keys: async () => null }), async (token) => known(token)],
      failureLimit: { max: 3 },
    })
    const client = server.client()
    const rpcs = Array.from({ length: 20 }, (_, n) =>
      runRpc(client, 'unary', { metadata: metadataOf({ 'x-api-key': `k${n}`, authorization: `Bearer good-${n}` }) }),
    )
    const { UNAVAILABLE, ...counts } = await counted(rpcs)
    expect(UNAVAILABLE).toBeUndefined()
    expect((counts.OK ?? 0) + (counts.RESOURCE_EXHAUSTED ?? 0)).toBe(20)
  })

  it('until the time is over', async () => {
    const clock = new FakeClock(Date.now())
    server = await startAuthServer({ verify: known, failureLimit: { max: 2, perMs: 1000 }, clock })
    for (const token of ['a', 'b']) expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
    await clock.advance(999)
    expect(await answerTo(server, 'Bearer good')).toBe(LIMITED)
    await clock.advance(1)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(clock.pending).toBe(0)
  })

  it('and leaves no timer and no place behind in those that waited', async () => {
    const clock = new FakeClock(Date.now())
    const gate = new Gate()
    server = await startAuthServer({
      verify: async (token) => {
        await gate.opened
        return known(token)
      },
      failureLimit: { max: 1 },
      maxJoined: 2,
      clock,
    })
    const client = server.client()
    const first = runRpc(client, 'unary', carrying('Bearer good-1'))
    await clock.timerSet()
    for (let n = 0; n < 5; n++) {
      const rpc = startRpc(client, 'unary', carrying(`Bearer good-${n + 2}`))
      await until(() => clock.pending === 2)
      rpc.cancel()
      await rpc.done
      await until(() => clock.pending === 1)
    }
    const second = startRpc(client, 'unary', carrying('Bearer good-8'))
    await until(() => clock.pending === 2)
    await clock.advance(10_000)
    expect((await second.done).status?.code).toBe(Code.UNAVAILABLE)
    expect((await first).status?.code).toBe(Code.UNAVAILABLE)
    expect(clock.pending).toBe(0)
  })
})

describe('failureLimit does not count what is no guess', () => {
  const outages: Record<string, () => unknown> = {
    'an outage of the verifier': () => Promise.reject(new VerifierUnavailableError('down')),
    'an outage that it did not name': () => Promise.reject(new TypeError('fetch failed')),
    'a verifier that misbehaves': () => 'no principal',
  }
  for (const [what, verdict] of Object.entries(outages)) {
    it(what, async () => {
      let down = true
      server = await startAuthServer({
        verify: (token) => (down ? (verdict() as Verdict) : known(token)),
        failureLimit: { max: 2 },
      })
      const answers = new Set<string>()
      for (let n = 0; n < 5; n++) answers.add(await answerTo(server, `Bearer good-${n}`))
      expect([[DOWN], ['INTERNAL: Internal error']]).toContainEqual([...answers])
      down = false
      expect(await answerTo(server, 'Bearer good-6')).toBe('OK: OK')
    })
  }

  it('calls without credentials', async () => {
    server = await startAuthServer({ verify: known, failureLimit: { max: 1 } })
    for (let n = 0; n < 3; n++) expect(await answerTo(server)).toBe(REFUSED)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
  })
})

describe('a neighbour’s failures do not lock out a credential that just worked', () => {
  const keys = [{ hash: hashApiKey('good'), subject: 'billing' }]
  const header = (name: string) => (token: string) => ({
    metadata: metadataOf({ [name]: name === 'authorization' ? `Bearer ${token}` : token }),
  })
  const authenticators: Record<string, [ServerAuthOptions['verify'], ReturnType<typeof header>]> = {
    'a function': [known, header('authorization')],
    'an asynchronous function': [async (token) => known(token), header('authorization')],
    'a shareable one': [shareable(async (token) => known(token)), header('authorization')],
    'API keys in a list': [apiKeys({ keys }), header('x-api-key')],
    'API keys of a store': [
      apiKeys({ keys: async (hash) => keys.find((key) => key.hash === hash) }),
      header('x-api-key'),
    ],
  }
  for (const [which, [verify, bring]] of Object.entries(authenticators)) {
    for (const cache of [true, false]) {
      it(`of ${which}, ${cache ? 'cached' : 'not cached'}`, async () => {
        const clock = new FakeClock(Date.now())
        server = await startAuthServer({ verify, cache, failureLimit: { max: 3, perMs: 600_000 }, clock })
        const codeOf = async (token: string) =>
          Code[(await runRpc(clientOf(server), 'unary', bring(token))).status?.code ?? -1]
        expect(await codeOf('good')).toBe('OK')
        for (const token of ['a', 'b', 'c']) expect(await codeOf(token)).toBe('UNAUTHENTICATED')
        expect(await codeOf('d')).toBe('RESOURCE_EXHAUSTED')
        expect(await codeOf('good')).toBe('OK')
        await clock.advance(300_000) // longer than anything is cached
        expect(await codeOf('good')).toBe('OK')
        expect(await codeOf('e')).toBe('RESOURCE_EXHAUSTED')
      })
    }
  }

  it('but one that was revoked counts as any other', async () => {
    let revoked = false
    server = await startAuthServer({
      verify: (token) => (revoked ? null : known(token)),
      failureLimit: { max: 1 },
    })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    revoked = true
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
    expect(await answerTo(server, 'Bearer good')).toBe(LIMITED)
  })

  it('and guesses from elsewhere do not find it because it is known', async () => {
    server = await startAuthServer({ verify: shareable(known), failureLimit: { max: 2 } })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    const relay = await relayFrom('127.0.0.2', server.address)
    const elsewhere = new TestClient(relay.address, credentials.createInsecure())
    closers.push(() => elsewhere.close(), relay.close)
    const codes = []
    for (const token of ['a', 'b', 'good']) {
      codes.push((await runRpc(elsewhere, 'unary', carrying(`Bearer ${token}`))).status?.code)
    }
    expect(codes).toEqual([Code.UNAUTHENTICATED, Code.UNAUTHENTICATED, Code.RESOURCE_EXHAUSTED])
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(await answerTo(server, 'Bearer good-2')).toBe('OK: OK')
  })
})

it('a key function that throws refuses the call, and it alone', async () => {
  let broken = true
  server = await startAuthServer({
    verify: known,
    failureLimit: {
      max: 1,
      key: () => {
        if (broken) throw new Error('no tenant')
        return 'tenant'
      },
    },
  })
  expect(await answerTo(server, 'Bearer good')).toBe('INTERNAL: Internal error')
  broken = false
  expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
})

describe('a key that is no text', () => {
  const keys: [string, () => unknown][] = [
    ['a promise', async () => 'peer'],
    ['a promise that rejects', () => Promise.reject(new Error('late'))],
    ['undefined', () => undefined],
  ]
  for (const [what, key] of keys) {
    it(`is a mistake that ends the call, instead of a limit that holds for none: ${what}`, async () => {
      let asked = 0
      const causes: unknown[] = []
      server = await startAuthServer({
        verify: () => {
          asked++
          return null
        },
        failureLimit: { max: 1, key: key as never },
        onDecision: ({ reason, cause }) => void causes.push(reason, cause),
      })
      expect(await answerTo(server, 'Bearer guess')).toBe('INTERNAL: Internal error')
      expect(asked).toBe(0)
      expect(causes).toEqual([
        'internal',
        expect.objectContaining({ message: expect.stringContaining('"failureLimit.key"') }),
      ])
    })
  }
})
