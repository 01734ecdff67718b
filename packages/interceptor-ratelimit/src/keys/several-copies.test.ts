import { Client, status as Code, credentials } from '@grpc/grpc-js'
import { ContextVar } from '@grpc-stack/grpc-core'
import { FakeClock, metadataOf, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it, vi } from 'vitest'
import * as here from '../index.ts'
import type { Store, StoredLimit } from '../stores/store.ts'

/** Another copy of this package, as a second version in the tree is. */
async function otherCopy(): Promise<typeof here> {
  vi.resetModules()
  return await import('../index.ts')
}

/** Which limits a `rateLimit()` says share their key with its first. */
function sameAsFirst(...keys: readonly (here.KeyFunction | undefined)[]): readonly boolean[] {
  let opened: readonly StoredLimit[] = []
  const store: Store = {
    open(limits) {
      opened = limits
      return here.memoryStore().open(limits)
    },
  }
  here.rateLimit({ limits: keys.map((key, i) => ({ name: `limit-${i}`, rate: 5, ...(key && { key }) })), store })
  return opened.map(({ sameKeyAsFirst }) => sameKeyAsFirst)
}

const principalVar = new ContextVar<{ subject: string }>('principal')
const otherVar = new ContextVar<{ subject: string }>('other')
const own: here.KeyFunction = () => 'own'

const same: Record<string, (from: typeof here) => here.KeyFunction> = {
  byPrincipal: (from) => from.byPrincipal(principalVar),
  'byPrincipal, otherwise by peer': (from) => from.byPrincipal(principalVar, { otherwise: from.byPeer() }),
  'byPrincipal, otherwise by a function of your own': (from) => from.byPrincipal(principalVar, { otherwise: own }),
  byMetadata: (from) => from.byMetadata('x-tenant', { secret: false }),
  byPeer: (from) => from.byPeer({ trustedProxies: ['10.0.0.0/8'], ipv6Prefix: 48 }),
  peerAddress: (from) => from.peerAddress,
  byMethod: (from) => from.byMethod,
  byEach: (from) => from.byEach(from.byMethod, from.byPrincipal(principalVar)),
}

const different: [string, here.KeyFunction, here.KeyFunction][] = [
  ['variables', here.byPrincipal(principalVar), here.byPrincipal(otherVar)],
  ['fallbacks', here.byPrincipal(principalVar), here.byPrincipal(principalVar, { otherwise: own })],
  ['names', here.byMetadata('x-tenant'), here.byMetadata('x-user')],
  ['forms of the value', here.byMetadata('x-tenant'), here.byMetadata('x-tenant', { secret: false })],
  ['prefixes', here.byPeer(), here.byPeer({ ipv6Prefix: 48 })],
  ['proxies', here.byPeer({ trustedProxies: 1 }), here.byPeer({ trustedProxies: 2 })],
  ['headers', here.byPeer({ trustedProxies: 1 }), here.byPeer({ trustedProxies: 1, header: 'x-real-ip' })],
  ['orders', here.byEach(here.byMethod, own), here.byEach(own, here.byMethod)],
  ['functions of your own', own, () => 'own'],
  ['factories', here.byMethod, here.peerAddress],
]

describe('key functions that count by the same', () => {
  it.each(Object.entries(same))('are the same, made twice: %s', (_name, make) => {
    expect(sameAsFirst(make(here), make(here))).toEqual([true, true])
  })

  it.each(Object.entries(same))('are the same, made by two copies of this package: %s', async (_name, make) => {
    expect(sameAsFirst(make(here), make(await otherCopy()))).toEqual([true, true])
  })

  it('are the same as the default key where they are byPeer()', () => {
    expect(sameAsFirst(undefined, here.byPeer())).toEqual([true, true])
  })

  it.each(different)('are not the same where they differ in their %s', (_what, one, other) => {
    expect(sameAsFirst(one, other)).toEqual([true, false])
  })
})

describe('a limit by peer whose key another copy of this package made', () => {
  it('charges unregistered methods to the caller that the trusted proxy speaks for', async () => {
    const there = await otherCopy()
    const key = there.byPeer({ trustedProxies: ['127.0.0.1'] })
    const limit = here.rateLimit({ rate: 1, perMs: 60_000, key, clock: new FakeClock() })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = new Client(server.address, credentials.createInsecure())
    const bytes = (buffer: Buffer): Buffer => buffer
    const guess = (caller: string): Promise<Code | undefined> =>
      new Promise((resolve) => {
        const metadata = metadataOf({ 'x-forwarded-for': caller })
        client.makeUnaryRequest('/guess.Guess/It', bytes, bytes, Buffer.of(1), metadata, (error) =>
          resolve(error?.code),
        )
      })
    try {
      expect(await guess('203.0.113.1')).toBe(Code.UNIMPLEMENTED)
      expect(await guess('203.0.113.2')).toBe(Code.UNIMPLEMENTED)
      expect(await guess('203.0.113.1')).toBe(Code.RESOURCE_EXHAUSTED)
    } finally {
      client.close()
    }
  })
})
