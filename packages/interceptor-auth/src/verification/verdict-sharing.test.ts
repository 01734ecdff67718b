import { status as Code } from '@grpc/grpc-js'
import {
  FakeClock,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { alice, answerTo, DOWN, good, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { type Authenticator, bearer, type ServerAuthOptions, shareable, type Verify } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle(1)
}

const ofTenant = (tenant: string) => ({ metadata: metadataOf({ tenant, authorization: 'Bearer same' }) })

describe('a verdict is shared only when the verifier says so', () => {
  const onlyA: Verify = async (_token, call) => {
    await settle()
    return call.metadata.get('tenant')[0] === 'a' ? alice : null
  }
  const verifiers: Record<string, ServerAuthOptions['verify']> = {
    'declares the call': onlyA,
    'passes on whatever it is given': (...given: Parameters<Verify>) => onlyA(...given),
    'declares the call with a default': (token, call = undefined as never) => onlyA(token, call),
    'is an authenticator of an older make': {
      ...bearer(onlyA),
      shareable: undefined,
      cacheable: true,
    } as unknown as Authenticator,
  }
  const caches: Record<string, ServerAuthOptions['cache']> = {
    'by default': undefined,
    'with cache: true': true,
    'with ttlMs: 60_000': { ttlMs: 60_000 },
    'with ttlMs: 0': { ttlMs: 0 },
  }
  for (const [which, verify] of Object.entries(verifiers)) {
    for (const [how, cache] of Object.entries(caches)) {
      for (const stock of [false, true]) {
        it(`so one that ${which} decides each call by itself ${how}, ${stock ? 'stock' : 'ours'}`, async () => {
          server = await startAuthServer({ verify, ...(cache !== undefined && { cache }) }, { stock })
          const client = server.client()
          for (const pattern of patterns) {
            const both = ['a', 'b'].map((tenant) => runRpc(client, pattern, ofTenant(tenant)))
            const codes = (await Promise.all(both)).map(({ status }) => status?.code)
            expect(codes).toEqual([Code.OK, Code.UNAUTHENTICATED])
            expect((await runRpc(client, pattern, ofTenant('b'))).status?.code).toBe(Code.UNAUTHENTICATED)
          }
        })
      }
    }
  }

  for (const cache of [{ ttlMs: 0 }, false] as const) {
    it(`and never with cache: ${JSON.stringify(cache)}, whatever the verifier says`, async () => {
      const answers = [null, alice, null, alice]
      const gate = new Gate()
      let asked = 0
      const verify = shareable(async () => {
        const answer = answers[asked++]
        await gate.opened
        return answer
      })
      server = await startAuthServer({ verify, cache })
      const client = server.client()
      const first = runRpc(client, 'unary', good)
      await until(() => asked === 1)
      const second = runRpc(client, 'bidi', good)
      await until(() => asked === 2)
      gate.open()
      expect((await first).status?.code).toBe(Code.UNAUTHENTICATED)
      expect((await second).status?.code).toBe(Code.OK)
      expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
      expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    })
  }

  it('which can only be said of a function', () => {
    expect(() => shareable('jwt' as never)).toThrow(/shareable: the verifier must be a function of the token/)
    expect(
      shareable(function whose() {
        return null
      }).name,
    ).toBe('whose')
  })
})

describe('what goes wrong in a verifier is not remembered', () => {
  const thenable = (descriptor: PropertyDescriptor): unknown => Object.defineProperty({}, 'then', descriptor)
  const boom = (): never => {
    throw new Error('boom')
  }
  const unreadable = () => {
    throw new Proxy({}, { get: boom, getPrototypeOf: boom })
  }
  const unreachable = async () => {
    throw new TypeError('fetch failed')
  }
  const failures: [string, () => unknown, string][] = [
    ['throws an exception it gives no meaning', boom, REFUSED],
    ['rejects with one', async () => boom(), REFUSED],
    ['throws an object that cannot be read', unreadable, REFUSED],
    ['returns a thenable whose then throws', () => thenable({ value: boom }), REFUSED],
    ['returns an object whose then cannot be read', () => thenable({ get: boom }), REFUSED],
    ['returns what is no principal', async () => 'alice', 'INTERNAL: Internal error'],
    ['cannot reach its service', unreachable, DOWN],
  ]
  for (const [what, fail, answer] of failures) {
    it(`a verifier that ${what}`, async () => {
      let broken = true
      const verify = (): unknown => (broken ? fail() : alice)
      for (const one of [verify, shareable(verify as () => null)]) {
        broken = true
        server = await startAuthServer({ verify: one as Verify })
        for (let n = 0; n < 2; n++) expect(await answerTo(server, 'Bearer good')).toBe(answer)
        broken = false
        expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
      }
    })
  }

  it('a thenable that answers twice, and throws then, has answered', async () => {
    const answersTwice = (resolve: (value: unknown) => void) => {
      resolve(alice)
      resolve(null)
      boom()
    }
    const verify = shareable(() => thenable({ value: answersTwice }) as never)
    server = await startAuthServer({ verify })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
  })

  it('a thenable that never answers is given up in time, and asked again', async () => {
    const clock = new FakeClock(Date.now())
    let asked = 0
    const verify = shareable(() => (++asked === 1 ? (thenable({ value: () => undefined }) as never) : alice))
    server = await startAuthServer({ verify, clock })
    const rpc = startRpc(server.client(), 'unary', good)
    await clock.timerSet()
    await clock.advance(5000)
    expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(clock.pending).toBe(0)
  })
})

describe('the time a verdict holds counts from when the verifier was asked', () => {
  /** A verifier that answers what it knew when it was asked, when it is told to. */
  function slowVerifier() {
    const answers: ((of?: 'now') => void)[] = []
    let valid = true
    const verify = shareable(() => {
      const answer = valid ? alice : null
      return new Promise<typeof answer>((resolve) => {
        answers.push(() => resolve(answer))
      })
    })
    return {
      verify,
      answers,
      revoke: () => {
        valid = false
      },
    }
  }

  it('so a revoked token is noticed within the time, however slow the answer was', async () => {
    const clock = new FakeClock(Date.now())
    const { verify, answers, revoke } = slowVerifier()
    server = await startAuthServer({ verify, clock, cache: { ttlMs: 10_000 } })
    const client = server.client()
    const rpc = startRpc(client, 'unary', good)
    await until(() => answers.length === 1)
    revoke()
    await clock.advance(4000)
    answers[0]?.()
    expect((await rpc.done).status?.code).toBe(Code.OK)
    await clock.advance(5999)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    await clock.advance(1)
    const late = runRpc(client, 'unary', good)
    await until(() => answers.length === 2)
    answers[1]?.()
    expect((await late).status?.code).toBe(Code.UNAUTHENTICATED)
  })

  it('so no call joins a verification that was asked longer ago', async () => {
    const clock = new FakeClock(Date.now())
    const { verify, answers, revoke } = slowVerifier()
    server = await startAuthServer({ verify, clock, cache: { ttlMs: 1000 } })
    const client = server.client()
    const first = startRpc(client, 'unary', good)
    await until(() => answers.length === 1)
    revoke()
    await clock.advance(1000)
    const second = startRpc(client, 'bidi', good)
    await until(() => answers.length === 2)
    // The one that was asked first answers last, and does not put the token back.
    answers[1]?.()
    expect((await second.done).status?.code).toBe(Code.UNAUTHENTICATED)
    answers[0]?.()
    expect((await first.done).status?.code).toBe(Code.OK)
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
  })
})
