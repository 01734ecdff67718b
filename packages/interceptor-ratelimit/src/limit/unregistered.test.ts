import { Client, status as Code, credentials, type Metadata } from '@grpc/grpc-js'
import { ContextVar } from '@grpc-stack/grpc-core'
import { FakeClock, metadataOf, runRpc, startTestServer, TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { connectFrom } from '../../test/connect-from.ts'
import { byMetadata, byMethod, byPeer, byPrincipal, type KeyFunction, unlimited } from '../keys/keys.ts'
import { memoryStore } from '../stores/memory-store.ts'
import { rateLimit } from './rate-limit.ts'

const bytes = (buffer: Buffer): Buffer => buffer

/** Calls unregistered methods of a server, and says how they end. */
async function guess(address: string, count: number, metadataFor: (n: number) => Metadata): Promise<Code[]> {
  const client = new Client(address, credentials.createInsecure())
  try {
    const codes: Code[] = []
    for (let n = 0; n < count; n++) {
      const path = `/guess.Guess/Number${n}`
      codes.push(
        await new Promise((resolve) => {
          client.makeUnaryRequest(path, bytes, bytes, Buffer.of(1), metadataFor(n), (error) =>
            resolve(error?.code ?? Code.OK),
          )
        }),
      )
    }
    return codes
  } finally {
    client.close()
  }
}

const guesses = (server: TestServer, count = 5) =>
  guess(server.address, count, (n) => metadataOf({ 'x-tenant': `t${n}`, 'x-forwarded-for': `203.0.113.${n}` }))

describe('calls to unregistered methods', () => {
  const principalVar = new ContextVar<{ subject: string }>('principal')
  const keys: [string, { key?: KeyFunction }][] = [
    ['the default', {}],
    ['byMethod', { key: byMethod }],
    ['byMetadata', { key: byMetadata('x-tenant') }],
    ['byPrincipal', { key: byPrincipal(principalVar) }],
    ['byPeer', { key: byPeer() }],
    ['one that exempts', { key: () => unlimited }],
    [
      'one that throws',
      {
        key: () => {
          throw new Error('no such method')
        },
      },
    ],
  ]

  it.each(keys)('are charged to their peer, whatever they carry and whatever the key: %s', async (_name, options) => {
    const store = memoryStore()
    const limit = rateLimit({
      name: 'one',
      rate: 2,
      perMs: 60_000,
      store,
      cost: () => 0,
      clock: new FakeClock(),
      ...options,
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const refused = Array(3).fill(Code.RESOURCE_EXHAUSTED)
    expect(await guesses(server)).toEqual([Code.UNIMPLEMENTED, Code.UNIMPLEMENTED, ...refused])
    expect(store.size).toBe(1)
  })

  it('are not charged to other peers', async () => {
    const limit = rateLimit({ rate: 1, perMs: 60_000, clock: new FakeClock() })
    await using server = await startTestServer({ interceptors: [limit] })
    await using elsewhere = await connectFrom('127.0.0.2', server.address)
    expect(await guesses(server, 2)).toEqual([Code.UNIMPLEMENTED, Code.RESOURCE_EXHAUSTED])
    expect(await guess(elsewhere.address, 2, () => metadataOf({}))).toEqual([
      Code.UNIMPLEMENTED,
      Code.RESOURCE_EXHAUSTED,
    ])
    const other = new TestClient(elsewhere.address, credentials.createInsecure(), {})
    expect((await runRpc(other, 'unary')).status?.code).toBe(Code.OK)
    other.close()
  })

  it('are charged to the caller a trusted proxy speaks for', async () => {
    const key = byPeer({ trustedProxies: ['127.0.0.1'] })
    const limit = rateLimit({ rate: 1, perMs: 60_000, key, clock: new FakeClock() })
    await using server = await startTestServer({ interceptors: [limit] })
    expect(await guesses(server)).toEqual(Array(5).fill(Code.UNIMPLEMENTED))
    expect(await guesses(server)).toEqual(Array(5).fill(Code.RESOURCE_EXHAUSTED))
  })
})
