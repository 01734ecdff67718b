import { status as Code } from '@grpc/grpc-js'
import {
  echo,
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
import {
  alice,
  answerTo,
  carrying,
  clientOf,
  DOWN,
  good,
  REFUSED,
  startAuthServer,
  stopAuthServers,
  verify,
} from '../../test/auth-server.ts'
import {
  type Authenticator,
  apiKeys,
  bearer,
  hashApiKey,
  malformed,
  principalVar,
  shareable,
  VerifierUnavailableError,
} from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

// reference: flaw 47, sentence 31, symbol 72
describe('verifying one token does not delay other calls', () => {
  // reference: deviation 6, flaw 12
  it('other calls go on while one verification hangs', async () => {
    server = await startAuthServer({
      verify: (token) => (token === 'slow' ? new Promise(() => undefined) : verify(token)),
    })
    const client = server.client()
    const slow = startRpc(client, 'unary', carrying('Bearer slow'))
    for (let n = 0; n < 10; n++) expect((await runRpc(client, 'unary', good)).status?.code).toBe(Code.OK)
    slow.cancel()
    expect((await slow.done).status?.code).toBe(Code.CANCELLED)
  })

  it('a verification is bounded in time, and then UNAVAILABLE', async () => {
    const clock = new FakeClock(Date.now())
    server = await startAuthServer({ verify: () => new Promise(() => undefined), timeoutMs: 300, clock })
    const rpc = startRpc(server.client(), 'bidi', good)
    expect(await clock.timerSet()).toBe(300)
    await clock.advance(300)
    expect((await rpc.done).status).toMatchObject({
      code: Code.UNAVAILABLE,
      details: 'Credentials cannot be verified at the moment',
    })
    expect(clock.pending).toBe(0)
  })

  it('calls with the same token share one verification; it is kept, good or bad', async () => {
    const gate = new Gate()
    const asked: string[] = []
    server = await startAuthServer({
      verify: shareable(async (token) => {
        asked.push(token)
        await gate.opened
        return verify(token)
      }),
    })
    const client = server.client()
    const waiting = ['good', 'bad'].flatMap((token) =>
      patterns.flatMap((pattern) =>
        Array.from({ length: 10 }, () => runRpc(client, pattern, carrying(`Bearer ${token}`))),
      ),
    )
    while (asked.length < 2) await settle()
    gate.open()
    const codes = (await Promise.all(waiting)).map(({ status }) => status?.code)
    expect(codes.filter((code) => code === Code.OK)).toHaveLength(40)
    expect(codes.filter((code) => code === Code.UNAUTHENTICATED)).toHaveLength(40)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    expect(await answerTo(server, 'Bearer bad')).toBe(REFUSED)
    expect(asked.toSorted()).toEqual(['bad', 'good'])
  })

  it('verifications under way are bounded in number, and so are those that wait', async () => {
    const clock = new FakeClock(Date.now())
    const gate = new Gate()
    let running = 0
    let most = 0
    server = await startAuthServer({
      verify: async () => {
        most = Math.max(most, ++running)
        await gate.opened
        running--
        return alice
      },
      maxConcurrent: 3,
      maxQueued: 5,
      clock,
    })
    const client = server.client()
    const rpcs = Array.from({ length: 20 }, (_, n) => runRpc(client, 'unary', carrying(`Bearer t${n}`)))
    const over = await Promise.race(rpcs)
    expect(over.status?.code).toBe(Code.UNAVAILABLE)
    gate.open()
    const codes = (await Promise.all(rpcs)).map(({ status }) => status?.code)
    expect(codes.filter((code) => code === Code.OK)).toHaveLength(8)
    expect(codes.filter((code) => code === Code.UNAVAILABLE)).toHaveLength(12)
    expect(most).toBe(3)
    expect(clock.pending).toBe(0)
  })

  it('those that wait in vain are told in time', async () => {
    const clock = new FakeClock(Date.now())
    server = await startAuthServer({
      verify: () => new Promise(() => undefined),
      maxConcurrent: 1,
      timeoutMs: 100,
      clock,
    })
    const client = server.client()
    const rpcs = ['a', 'b'].map((token) => startRpc(client, 'unary', carrying(`Bearer ${token}`)))
    while (clock.pending < 2) await settle()
    await clock.advance(100)
    for (const rpc of rpcs) expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
  })

  it('a verifier is asked for every call, since its answer may depend on the call', async () => {
    const asked: string[] = []
    server = await startAuthServer({
      verify: (token, call) => {
        asked.push(call.method.name)
        return call.method.name === 'Unary' ? verify(token) : null
      },
    })
    const client = server.client()
    expect((await runRpc(client, 'unary', good)).status?.code).toBe(Code.OK)
    expect((await runRpc(client, 'bidi', good)).status?.code).toBe(Code.UNAUTHENTICATED)
    expect((await runRpc(client, 'unary', good)).status?.code).toBe(Code.OK)
    expect(asked).toEqual(['Unary', 'Bidi', 'Unary'])
  })

  it('unless it says that its answer depends on the token alone', async () => {
    let asked = 0
    server = await startAuthServer({
      verify: shareable((token) => {
        asked++
        return verify(token)
      }),
    })
    for (let n = 0; n < 3; n++) await answerTo(server, 'Bearer good')
    expect(asked).toBe(1)
  })

  it('what was found is forgotten in time: valid after a minute, invalid after ten seconds', async () => {
    const clock = new FakeClock(Date.now())
    const asked: string[] = []
    server = await startAuthServer({
      verify: shareable((token) => {
        asked.push(token)
        return verify(token)
      }),
      clock,
    })
    const both = async () => [await answerTo(server, 'Bearer good'), await answerTo(server, 'Bearer bad')]
    await both()
    await clock.advance(9999)
    await both()
    expect(asked).toEqual(['good', 'bad'])
    await clock.advance(1)
    await both()
    expect(asked).toEqual(['good', 'bad', 'bad'])
    await clock.advance(50_000)
    await both()
    expect(asked).toEqual(['good', 'bad', 'bad', 'good', 'bad'])
  })

  it('and no later than the credential expires, also when the clock is set back', async () => {
    const clock = new FakeClock(Date.now())
    let asked = 0
    server = await startAuthServer({
      verify: shareable(() => {
        asked++
        return { subject: 'alice', expiresAt: clock.now() + 5000 }
      }),
      clock,
    })
    await answerTo(server, 'Bearer good')
    await clock.advance(4999)
    await answerTo(server, 'Bearer good')
    expect(asked).toBe(1)
    await clock.advance(1)
    await answerTo(server, 'Bearer good')
    expect(asked).toBe(2)
    clock.jump(-3_600_000)
    await answerTo(server, 'Bearer good')
    expect(asked).toBe(3)
  })

  it('the outage of a verifier is not kept', async () => {
    let down = true
    server = await startAuthServer({
      verify: shareable((token) => {
        if (down) throw new VerifierUnavailableError('down')
        return verify(token)
      }),
    })
    expect(await answerTo(server, 'Bearer good')).toBe(DOWN)
    down = false
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
  })
})

describe('several authenticators', () => {
  const keys = apiKeys({ keys: [{ hash: hashApiKey('the-key'), subject: 'billing' }] })
  const ask = async (entries: Record<string, string>) => {
    const rpc = await runRpc(clientOf(server), 'unary', { metadata: metadataOf(entries) })
    return Code[rpc.status?.code ?? -1]
  }

  it('are tried in order, and the first that accepts decides', async () => {
    const seen: string[] = []
    server = await startAuthServer(
      { verify: [keys, async (token) => verify(token), bearer(() => ({ subject: 'basic' }), { scheme: 'Basic' })] },
      {
        behaviour: (rpc) => {
          seen.push(principalVar.get().subject)
          return echo(rpc)
        },
      },
    )
    expect(await ask({ 'x-api-key': 'the-key', authorization: 'Bearer good' })).toBe('OK')
    expect(await ask({ 'x-api-key': 'wrong', authorization: 'Bearer good' })).toBe('OK')
    expect(await ask({ authorization: 'Basic eA==' })).toBe('OK')
    expect(seen).toEqual(['billing', 'alice', 'basic'])
    expect(await ask({ 'x-api-key': 'wrong', authorization: 'Bearer bad' })).toBe('UNAUTHENTICATED')
    expect(await ask({})).toBe('UNAUTHENTICATED')
  })

  it('do not get to see a call whose header is malformed', async () => {
    server = await startAuthServer({ verify: [verify, keys] })
    expect(await ask({ 'x-api-key': 'the-key', authorization: 'Bearer a, Bearer b' })).toBe('UNAUTHENTICATED')
    expect(await ask({ 'x-api-key': 'the-key', authorization: 'Basic a' })).toBe('OK')
  })

  it('one that is down makes the answer UNAVAILABLE unless another accepts', async () => {
    const down = async () => {
      throw new VerifierUnavailableError('down')
    }
    server = await startAuthServer({ verify: [down, verify] })
    expect(await ask({ authorization: 'Bearer good' })).toBe('OK')
    expect(await ask({ authorization: 'Bearer bad' })).toBe('UNAVAILABLE')
    await stopAuthServers()
    server = await startAuthServer({ verify: [verify, down] })
    expect(await ask({ authorization: 'Bearer good' })).toBe('OK')
    expect(await ask({ authorization: 'Bearer bad' })).toBe('UNAVAILABLE')
  })

  it('can be of your own making', async () => {
    const byTicket: Authenticator = {
      name: 'ticket',
      credential: (call) => {
        const [ticket] = call.metadata.get('x-ticket')
        if (ticket === undefined) return undefined
        return typeof ticket === 'string' && /^\d+$/.test(ticket) ? ticket : malformed
      },
      verify: (ticket) => (ticket === '42' ? { subject: 'bearer of 42' } : null),
      shareable: true,
    }
    server = await startAuthServer({ verify: [byTicket, verify] })
    expect(await ask({ 'x-ticket': '42' })).toBe('OK')
    expect(await ask({ 'x-ticket': '7' })).toBe('UNAUTHENTICATED')
    expect(await ask({ 'x-ticket': '7', authorization: 'Bearer good' })).toBe('OK')
    expect(await ask({ 'x-ticket': 'x', authorization: 'Bearer good' })).toBe('UNAUTHENTICATED')
  })

  it('of your own making that fail to find the credential refuse the call', async () => {
    const failing: [string, () => unknown][] = [
      [
        'throws',
        () => {
          throw new Error('boom')
        },
      ],
      ['answers later', async () => 'good'],
      ['answers with bytes', () => Buffer.from('good')],
    ]
    for (const [, credential] of failing) {
      server = await startAuthServer({
        verify: { name: 'odd', credential, verify: () => alice, shareable: false } as Authenticator,
      })
      expect(await ask({ authorization: 'Bearer good' })).toBe('INTERNAL')
      await stopAuthServers()
    }
  })

  it('a slow one does not take the places of another', async () => {
    server = await startAuthServer({
      verify: [bearer(() => new Promise(() => undefined), { scheme: 'Slow' }), keys],
      maxConcurrent: 1,
    })
    const slow = startRpc(server.client(), 'unary', carrying('Slow x'))
    for (let n = 0; n < 3; n++) expect(await ask({ 'x-api-key': 'the-key' })).toBe('OK')
    slow.cancel()
    await slow.done
  })
})
