import { echo, FakeClock, metadataOf, runRpc, settle, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answerTo, DOWN, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { type Answer, type HttpEndpoint, httpStatus, silence, startEndpoint } from '../../test/http-endpoint.ts'
import { type Principal, principalVar } from '../index.ts'
import { type IntrospectionOptions, introspection } from '../oauth2.ts'

let endpoint: HttpEndpoint
let clock: FakeClock
let server: TestServer
beforeEach(async () => {
  clock = new FakeClock(Date.now())
  endpoint = await startEndpoint(({ form }) =>
    form.get('token') === 'good' ? { active: true, sub: 'alice', scope: 'read' } : { active: false },
  )
})
afterEach(async () => {
  await stopAuthServers()
  await endpoint.close()
})

async function start(options: Partial<IntrospectionOptions> = {}): Promise<void> {
  const identity = { clientId: 'server', clientSecret: 's3cret' }
  server = await startAuthServer({
    verify: introspection({ endpoint: endpoint.url, ...identity, clock, ...options }),
    clock,
  })
}

const seconds = () => Math.floor(clock.now() / 1000)

describe('introspection', () => {
  it('asks as RFC 7662 has it, and shows the handler what the server said', async () => {
    await start()
    let principal: Principal | undefined
    server.behaviour = (rpc) => {
      principal = principalVar.get()
      return echo(rpc)
    }
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    const { headers, form } = endpoint.requests[0]!
    expect(headers.authorization).toBe(`Basic ${Buffer.from('server:s3cret').toString('base64')}`)
    expect(Object.fromEntries(form)).toEqual({ token: 'good', token_type_hint: 'access_token' })
    expect(principal).toEqual({
      subject: 'alice',
      claims: { active: true, sub: 'alice', scope: 'read' },
      authenticator: 'introspection',
    })
  })

  it('refuses a token that is not active', async () => {
    await start()
    expect(await answerTo(server, 'Bearer bad')).toBe(REFUSED)
    endpoint.answer = () => ({ active: false, sub: 'alice' })
    expect(await answerTo(server, 'Bearer worse')).toBe(REFUSED)
  })

  it('asks once for a token, whatever the answer and however many calls wait; revocation shows within a minute', async () => {
    await start()
    const metadata = metadataOf({ authorization: 'Bearer good' })
    const client = server.client()
    await Promise.all(Array.from({ length: 50 }, () => runRpc(client, 'unary', { metadata })))
    for (let n = 0; n < 5; n++) await answerTo(server, 'Bearer bad')
    expect(endpoint.requests.map(({ form }) => form.get('token'))).toEqual(['good', 'bad'])
    endpoint.answer = () => ({ active: false })
    await clock.advance(59_999)
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    await clock.advance(1)
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
  })

  it('believes no answer longer than the token lives', async () => {
    endpoint.answer = () => ({ active: true, sub: 'alice', exp: seconds() + 5 })
    await start({ clockToleranceMs: 0 })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    await clock.advance(5000)
    endpoint.answer = () => ({ active: false })
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
  })

  const inactive: [string, () => Record<string, unknown>][] = [
    ['has expired', () => ({ sub: 'a', exp: seconds() - 10 })],
    ['is from the future', () => ({ sub: 'a', nbf: seconds() + 60 })],
    ['has an expiry that is a text', () => ({ sub: 'a', exp: 'never' })],
    ['is of another issuer', () => ({ sub: 'a', iss: 'https://evil/', aud: 'shop' })],
    ['is for another audience', () => ({ sub: 'a', iss: 'https://id/', aud: ['other'] })],
    ['is for no audience', () => ({ sub: 'a', iss: 'https://id/' })],
    ['names no subject', () => ({ iss: 'https://id/', aud: 'shop' })],
    ['names an empty subject', () => ({ sub: '', iss: 'https://id/', aud: 'shop' })],
  ]
  for (const [what, token] of inactive) {
    it(`refuses an active token that ${what}`, async () => {
      endpoint.answer = () => ({ active: true, ...token() })
      await start({ issuer: 'https://id/', audience: 'shop' })
      expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
    })
  }

  it('accepts one of several audiences', async () => {
    endpoint.answer = () => ({ active: true, sub: 'alice', aud: ['shop', 'x'] })
    await start({ audience: ['shop', 'y'] })
    expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
  })

  it('takes no client for a user of its name: a token without the member sub is refused', async () => {
    endpoint.answer = () => ({ active: true, client_id: 'billing', username: 'billing' })
    await start()
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
    endpoint.answer = () => ({ active: true, client_id: 'billing', sub: null })
    expect(await answerTo(server, 'Bearer other')).toBe(REFUSED)
  })

  it('takes clients when it is told how to name them', async () => {
    const subjects: string[] = []
    endpoint.answer = ({ form }) =>
      form.get('token') === 'of-client'
        ? { active: true, client_id: 'billing' }
        : { active: true, client_id: 'web', sub: 'billing' }
    await start({ subject: ({ sub, client_id }) => (sub === undefined ? `client:${client_id}` : `user:${sub}`) })
    server.behaviour = (rpc) => {
      subjects.push(principalVar.get().subject)
      return echo(rpc)
    }
    expect(await answerTo(server, 'Bearer of-client')).toBe('OK: OK')
    expect(await answerTo(server, 'Bearer of-user')).toBe('OK: OK')
    expect(subjects).toEqual(['client:billing', 'user:billing'])
  })

  const broken: [string, Answer][] = [
    ['refuses this server', httpStatus(401, { error: 'invalid_client' })],
    ['is overloaded', httpStatus(503)],
    ['answers a page', httpStatus(200, '<html>')],
    ['does not say', () => ({ sub: 'alice' })],
    ['says it with a text', () => ({ active: 'true', sub: 'alice' })],
    ['hangs up', (_request, response) => void response.destroy()],
    ['redirects', (_request, response) => void response.writeHead(307, { location: '/else' }).end()],
    ['never stops', () => ({ active: true, sub: 'x'.repeat(100_000) })],
  ]
  for (const [what, answer] of broken) {
    it(`is UNAVAILABLE when the endpoint ${what}, and asks again next time`, async () => {
      endpoint.answer = answer
      await start()
      expect(await answerTo(server, 'Bearer good')).toBe(DOWN)
      endpoint.answer = () => ({ active: true, sub: 'alice' })
      expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    })
  }

  it('is UNAVAILABLE when the endpoint is gone, or silent', async () => {
    endpoint.answer = silence
    await start()
    const waiting = answerTo(server, 'Bearer good')
    while (endpoint.requests.length === 0) await settle()
    await clock.advance(5000)
    expect(await waiting).toBe(DOWN)
    expect(clock.pending).toBe(0)
    await endpoint.close()
    expect(await answerTo(server, 'Bearer good')).toBe(DOWN)
  })

  it('throws for wrong options', () => {
    const options = { endpoint: 'https://id/', clientId: 'a', clientSecret: 'b' }
    expect(() => introspection({ ...options, endpoint: 'http://id.example/' })).toThrow(/https/)
    expect(() => introspection({ ...options, audience: '' })).toThrow(/option "audience"/)
    expect(() => introspection({ ...options, url: 'x' } as never)).toThrow(/unknown option "url"/)
  })
})
