import { FakeClock, settle, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerTo, DOWN, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { type Answer, httpStatus, silence } from '../../test/http-endpoint.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { jwt, type RemoteKeySetOptions } from '../jwt.ts'

const MINUTE = 60_000
const DAY = 86_400_000

let issuer: Issuer
let clock: FakeClock
let server: TestServer
beforeEach(async () => {
  issuer = await startIssuer()
  clock = new FakeClock(Date.now())
})
afterEach(async () => {
  await stopAuthServers()
  await issuer.endpoint.close()
})

/** Nothing is kept of tokens, so that every call looks its key up. */
async function start(remote: RemoteKeySetOptions = {}): Promise<void> {
  const verify = jwt({
    jwks: issuer.endpoint.url,
    issuer: ISSUER,
    audience: AUDIENCE,
    remote,
    clock,
    random: () => 0.5,
  })
  server = await startAuthServer({ verify, cache: false, timeoutMs: 60 * MINUTE })
}

const lasting = { exp: Math.floor(Date.now() / 1000) + 40 * 86_400 }
const fetches = () => issuer.endpoint.requests.length
const call = async (token?: string) => answerTo(server, `Bearer ${token ?? (await issuer.token(lasting))}`)

async function fetched(n: number): Promise<void> {
  while (fetches() < n) await settle()
  await settle(20)
}

describe('keys are fetched', () => {
  it('when the first token comes, once for all that come at once, and kept', async () => {
    await start()
    expect(fetches()).toBe(0)
    const tokens = await Promise.all(Array.from({ length: 100 }, (_, n) => issuer.token({ ...lasting, jti: `${n}` })))
    const answers = await Promise.all(tokens.map(call))
    expect(new Set(answers)).toEqual(new Set(['OK: OK']))
    await clock.advance(8 * MINUTE - 1)
    expect(await call()).toBe('OK: OK')
    expect(fetches()).toBe(1)
  })

  it('again in the background before they are old, while calls go on', async () => {
    await start()
    await call()
    await clock.advance(8 * MINUTE)
    issuer.endpoint.answer = silence
    expect(await call()).toBe('OK: OK')
    await fetched(2)
    expect(await call()).toBe('OK: OK')
    expect(fetches()).toBe(2)
  })

  it('when a token has a key that is not known yet: rotation', async () => {
    await start()
    await call()
    await issuer.rotate()
    await clock.advance(MINUTE)
    expect(await call()).toBe('OK: OK')
    expect(fetches()).toBe(2)
    // The old one holds as long as it is published.
    expect(await call(await issuer.token(lasting, {}, issuer.keys[0]!))).toBe('OK: OK')
  })

  it('and forgotten with the set they were in: withdrawal', async () => {
    await start()
    const token = await issuer.token(lasting)
    expect(await call(token)).toBe('OK: OK')
    await issuer.rotate()
    issuer.keys.shift()
    await clock.advance(10 * MINUTE)
    expect(await call(token)).toBe(REFUSED)
    expect(await call()).toBe('OK: OK')
  })

  it('at most every half minute on account of made-up key ids', async () => {
    await start()
    await call()
    const forge = (n: number) => issuer.token(lasting, { kid: `made-up-${n}` })
    for (let n = 0; n < 50; n++) expect(await call(await forge(n))).toBe(REFUSED)
    expect(fetches()).toBe(1)
    await clock.advance(30_000)
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, n) => forge(n)))
    expect(new Set(await Promise.all(tokens.map(call)))).toEqual(new Set([REFUSED]))
    expect(fetches()).toBe(2)
  })

  it('with the headers that are asked for', async () => {
    await start({ headers: { 'x-tenant': 'a' } })
    await call()
    expect(issuer.endpoint.requests[0]?.headers['x-tenant']).toBe('a')
  })
})

describe('an issuer that is down', () => {
  const broken: [string, Answer][] = [
    ['answers 500', httpStatus(500)],
    ['answers 404', httpStatus(404, 'not found')],
    ['answers no JSON', httpStatus(200, '<html>')],
    ['answers no key set', httpStatus(200, { error: 'x' })],
    ['answers keys that are no list', httpStatus(200, { keys: 'none' })],
    ['hangs up', (_request, response) => void response.destroy()],
    [
      'hangs up halfway',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{"keys":[')
        setImmediate(() => response.destroy())
      },
    ],
    [
      'redirects',
      (_request, response) => {
        response.writeHead(302, { location: '/elsewhere' })
        response.end()
      },
    ],
  ]
  for (const [what, answer] of broken) {
    it(`from the start is UNAVAILABLE, and asked less and less often: ${what}`, async () => {
      issuer.endpoint.answer = answer
      await start()
      expect(await call()).toBe(DOWN)
      for (let n = 0; n < 5; n++) expect(await call()).toBe(DOWN)
      expect(fetches()).toBe(1)
      await clock.advance(1000)
      expect(await call()).toBe(DOWN)
      await clock.advance(1599)
      expect(await call()).toBe(DOWN)
      expect(fetches()).toBe(2)
      issuer.endpoint.answer = issuer.publish
      await clock.advance(1)
      expect(await call()).toBe('OK: OK')
    })

    it(`later leaves the keys in use for a day, no longer: ${what}`, async () => {
      await start()
      const token = await issuer.token(lasting)
      expect(await call(token)).toBe('OK: OK')
      issuer.endpoint.answer = answer
      await clock.advance(10 * MINUTE)
      expect(await call(token)).toBe('OK: OK')
      await clock.advance(DAY - 1)
      expect(await call(token)).toBe('OK: OK')
      await clock.advance(1)
      expect(await call(token)).toBe(DOWN)
      issuer.endpoint.answer = issuer.publish
      await clock.advance(MINUTE)
      expect(await call(token)).toBe('OK: OK')
    })
  }

  it('cannot say whether an unknown key is good: UNAVAILABLE', async () => {
    await start()
    await call()
    await issuer.rotate()
    issuer.endpoint.answer = httpStatus(503)
    await clock.advance(MINUTE)
    expect(await call()).toBe(DOWN)
    expect(await call()).toBe(DOWN)
    expect(fetches()).toBe(2)
  })

  it('and silent is given up in time', async () => {
    issuer.endpoint.answer = silence
    await start({ timeoutMs: 2000 })
    const answer = call()
    await fetched(1)
    await clock.advance(2000)
    expect(await answer).toBe(DOWN)
    expect(clock.pending).toBe(0)
  })

  it('and slow, drip by drip, is given up in time', async () => {
    let drip: NodeJS.Timeout | undefined
    issuer.endpoint.answer = (_request, response) => {
      response.writeHead(200)
      drip = setInterval(() => response.write(' '), 5)
      response.on('close', () => clearInterval(drip))
    }
    await start({ timeoutMs: 2000 })
    const answer = call()
    await fetched(1)
    await clock.advance(2000)
    expect(await answer).toBe(DOWN)
    clearInterval(drip)
  })
})

describe('a huge answer', () => {
  it('is read no further than maxBytes', async () => {
    let written = 0
    issuer.endpoint.answer = (_request, response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(65_536, ' ')
      const pour = () => {
        while (!response.destroyed && written < 1e9) {
          written += chunk.length
          if (!response.write(chunk)) return
        }
      }
      response.on('drain', pour)
      pour()
    }
    await start()
    expect(await call()).toBe(DOWN)
    // What had not been read yet lay in the sockets.
    expect(written).toBeLessThan(16 * 1024 * 1024)
  })

  it('of more keys than maxKeys is not taken; the keys at hand stay', async () => {
    await start()
    await call()
    const { keys } = await issuer.jwks()
    issuer.endpoint.answer = () => ({ keys: Array.from({ length: 101 }, (_, n) => ({ ...keys[0], kid: `k${n}` })) })
    await clock.advance(10 * MINUTE)
    expect(await call()).toBe('OK: OK')
    expect(fetches()).toBe(2)
  })

  it('unusable keys beside a good one do no harm', async () => {
    const { keys } = await issuer.jwks()
    const odd = [null, 7, {}, { kty: 'oct', k: 'AAAA' }, { kty: 'RSA' }, { kty: 'EC', crv: 'P-256', kid: 'key-9' }]
    issuer.endpoint.answer = () => ({ keys: [...odd, ...keys] })
    await start()
    expect(await call()).toBe('OK: OK')
    expect(await call(await issuer.token(lasting, { kid: 'key-9' }))).toBe(REFUSED)
  })
})
