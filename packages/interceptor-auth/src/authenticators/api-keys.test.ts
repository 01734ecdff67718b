import { createHash, randomBytes } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import { echo, FakeClock, metadataOf, patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { clientOf, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { type ApiKeysOptions, apiKeys, hashApiKey, InvalidTokenError, principalVar } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

const key = randomBytes(32).toString('base64url')
const entry = { hash: hashApiKey(key), subject: 'billing', claims: { plan: 'pro' } }

async function codeOf(metadata: Record<string, string>): Promise<string> {
  return Code[(await runRpc(clientOf(server), 'unary', { metadata: metadataOf(metadata) })).status?.code ?? -1] ?? ''
}

describe('apiKeys', () => {
  it('keeps digests only', () => {
    expect(hashApiKey(key)).toBe(createHash('sha256').update(key).digest('hex'))
    expect(hashApiKey(key)).not.toContain(key)
  })

  it('accepts a known key, with its subject and claims, and nothing about its hash', async () => {
    let seen: unknown
    server = await startAuthServer(
      { verify: apiKeys({ keys: [{ hash: hashApiKey('other'), subject: 'other' }, entry] }) },
      {
        behaviour: (rpc) => {
          seen = principalVar.get()
          return echo(rpc)
        },
      },
    )
    expect(await codeOf({ 'x-api-key': key })).toBe('OK')
    expect(seen).toEqual({ subject: 'billing', claims: { plan: 'pro' }, authenticator: 'apiKeys' })
  })

  it('refuses anything else, of whatever length', async () => {
    server = await startAuthServer({ verify: apiKeys({ keys: [entry] }) })
    const others = ['', 'x', key.slice(1), `${key}x`, key.toUpperCase(), entry.hash, `${key},${key}`, `${key}, other`]
    for (const other of others) expect(await codeOf({ 'x-api-key': other })).toBe('UNAUTHENTICATED')
    expect(await codeOf({})).toBe('UNAUTHENTICATED')
    expect(await codeOf({ authorization: `Bearer ${key}` })).toBe('UNAUTHENTICATED')
  })

  it('accepts none from an empty list', async () => {
    server = await startAuthServer({ verify: apiKeys({ keys: [] }) })
    expect(await codeOf({ 'x-api-key': key })).toBe('UNAUTHENTICATED')
  })

  it('takes another header, and a scheme', async () => {
    server = await startAuthServer({ verify: apiKeys({ keys: [entry], header: 'Authorization', scheme: 'ApiKey' }) })
    expect(await codeOf({ authorization: `apikey ${key}` })).toBe('OK')
    expect(await codeOf({ authorization: `Bearer ${key}` })).toBe('UNAUTHENTICATED')
    expect(await codeOf({ authorization: key })).toBe('UNAUTHENTICATED')
  })

  it('refuses a key that has expired', async () => {
    const clock = new FakeClock(Date.now())
    const keys = [{ ...entry, expiresAt: clock.now() + 1000 }]
    server = await startAuthServer({ verify: apiKeys({ keys }), clock })
    expect(await codeOf({ 'x-api-key': key })).toBe('OK')
    await clock.advance(1000)
    expect(await codeOf({ 'x-api-key': key })).toBe('UNAUTHENTICATED')
  })

  it('asks a store by the hash, keeps what it says, and tells when it is down', async () => {
    const asked: string[] = []
    const find = async (hash: string) => {
      asked.push(hash)
      if (hash === hashApiKey('unlucky')) throw Object.assign(new Error('x'), { code: 'ECONNREFUSED' })
      return hash === entry.hash ? entry : null
    }
    server = await startAuthServer({ verify: apiKeys({ keys: find }) })
    for (let n = 0; n < 3; n++) expect(await codeOf({ 'x-api-key': key })).toBe('OK')
    for (let n = 0; n < 3; n++) expect(await codeOf({ 'x-api-key': 'wrong' })).toBe('UNAUTHENTICATED')
    expect(await codeOf({ 'x-api-key': 'unlucky' })).toBe('UNAVAILABLE')
    expect(asked).toEqual([entry.hash, hashApiKey('wrong'), hashApiKey('unlucky')])
  })

  const outages: [string, () => unknown][] = [
    ['rejects with a plain error', () => Promise.reject(new Error('pool is closed'))],
    [
      'throws at once',
      () => {
        throw new Error('not connected')
      },
    ],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['may not be asked by this server', () => Promise.reject(new RpcError(Code.PERMISSION_DENIED, 'not for you'))],
    ['does not know this server', () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, 'who are you'))],
    ['takes the question for wrong', () => Promise.reject(new RpcError(Code.INVALID_ARGUMENT, 'no such column'))],
    ['has a system error', () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOENT' }))],
    [
      'has a thenable that throws',
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: that is what the test is about
        then: () => {
          throw new Error('x')
        },
      }),
    ],
  ]
  for (const [what, failing] of outages) {
    for (const stock of [false, true]) {
      it.each(patterns)(
        `a store that ${what} is an outage, of no key: ${stock ? 'stock, ' : ''}%s`,
        async (pattern) => {
          let find: () => unknown = failing
          const decisions: unknown[] = []
          server = await startAuthServer(
            {
              verify: apiKeys({ keys: (() => find()) as never }),
              failureLimit: { max: 1 },
              onDecision: ({ reason, cause }) => decisions.push([reason, (cause as Error | undefined)?.name]),
            },
            { stock },
          )
          const codeOf = async () => {
            const rpc = await runRpc(clientOf(server), pattern, { metadata: metadataOf({ 'x-api-key': key }) })
            return Code[rpc.status?.code ?? -1]
          }
          // No failure of the caller: the limit is not spent, and nothing is remembered.
          expect([await codeOf(), await codeOf(), await codeOf()]).toEqual(Array(3).fill('UNAVAILABLE'))
          expect(decisions[0]).toEqual(['unavailable', 'VerifierUnavailableError'])
          find = () => entry
          expect(await codeOf()).toBe('OK')
          find = failing
          expect(await codeOf()).toBe('OK')
        },
      )
    }
  }

  it('a store may refuse a key by throwing an InvalidTokenError, or with NOT_FOUND as services answer', async () => {
    let find: () => unknown = () => Promise.reject(new InvalidTokenError('withdrawn'))
    server = await startAuthServer({ verify: apiKeys({ keys: (() => find()) as never }), cache: false })
    expect(await codeOf({ 'x-api-key': key })).toBe('UNAUTHENTICATED')
    find = () => Promise.reject(new RpcError(Code.NOT_FOUND, 'no key'))
    expect(await codeOf({ 'x-api-key': key })).toBe('UNAUTHENTICATED')
  })

  // Timing itself cannot be asserted without a flaky test; that the search does not stop at a match can.
  it('finds the last of two entries for one key: the list is searched to its end', async () => {
    server = await startAuthServer(
      { verify: apiKeys({ keys: [entry, { ...entry, subject: 'second' }] }) },
      {
        behaviour: (rpc) => {
          rpc.sendHeaders({ 'x-subject': principalVar.get().subject })
          return echo(rpc)
        },
      },
    )
    const rpc = await runRpc(server.client(), 'unary', { metadata: metadataOf({ 'x-api-key': key }) })
    expect(rpc.headers?.get('x-subject')).toEqual(['second'])
  })

  const wrong: [string, unknown, RegExp][] = [
    ['no keys', {}, /option "keys" must be a list or a function/],
    ['a key instead of its hash', { keys: [{ hash: 'secret', subject: 'a' }] }, /keys\[0\].hash/],
    ['a key instead of the list', { keys: 'secret' }, /option "keys" must be a list or a function/],
    ['no subject', { keys: [{ hash: entry.hash }] }, /keys\[0\].subject/],
    ['a header that is none', { keys: [], header: 'x y' }, /option "header"/],
    ['a misspelt option', { keys: [], headers: 'x' }, /unknown option "headers"/],
  ]
  for (const [what, options, message] of wrong) {
    it(`with ${what} throws, and does not repeat a secret`, () => {
      expect(() => apiKeys(options as ApiKeysOptions)).toThrow(message)
      expect(() => apiKeys(options as ApiKeysOptions)).not.toThrow(/secret/)
    })
  }
})
