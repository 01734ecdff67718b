import { status as Code, credentials } from '@grpc/grpc-js'
import { createChannel, interceptChannel } from '@grpc-stack/grpc-core'
import { endWith, FakeClock, runRpc, startTestServer, TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { normalKey, normalTarget } from './circuit-key.ts'
import { type CircuitBreaker, circuitBreaker, consecutive } from './index.ts'

const SERVICE = 'grpcstack.testing.Test'
const down = endWith({ code: Code.UNAVAILABLE, details: 'down' })

describe('the address in a key', () => {
  it.each([
    ['catalog:50051', 'catalog:50051'],
    ['Catalog.Example:50051', 'catalog.example:50051'],
    ['dns:catalog:50051', 'catalog:50051'],
    ['DNS:catalog:50051', 'catalog:50051'],
    ['dns:///catalog:50051', 'catalog:50051'],
    ['dns://8.8.8.8/catalog:50051', 'dns://8.8.8.8/catalog:50051'],
    ['catalog', 'catalog:443'],
    ['dns:catalog', 'catalog:443'],
    ['10.0.0.1:50051', '10.0.0.1:50051'],
    ['ipv4:10.0.0.1:50051', '10.0.0.1:50051'],
    ['ipv4:10.0.0.1', '10.0.0.1:443'],
    ['ipv4:10.0.0.1:1,10.0.0.2:2', 'ipv4:10.0.0.1:1,10.0.0.2:2'],
    ['[::1]:50051', '[::1]:50051'],
    ['[2001:DB8::1]', '[2001:db8::1]:443'],
    ['::1', '[::1]:443'],
    ['ipv6:[::1]:50051', '[::1]:50051'],
    ['ipv6:::1', '[::1]:443'],
    ['unix:/run/Catalog.sock', 'unix:/run/Catalog.sock'],
    ['unix:///run/Catalog.sock', 'unix:/run/Catalog.sock'],
    ['unix:catalog.sock', 'unix:catalog.sock'],
    ['unix-abstract:catalog', 'unix-abstract:catalog'],
    ['xds:///catalog', 'xds:///catalog'],
    ['consul:catalog', 'consul:catalog'],
  ])('%s is %s', (written, kept) => {
    expect(normalTarget(written)).toBe(kept)
    expect(normalTarget(kept)).toBe(kept)
    expect(normalKey(`${written}/a.v1.B`, 'service')).toBe(`${kept}/a.v1.B`)
    expect(normalKey(`${written}/a.v1.B/Get`, 'method')).toBe(`${kept}/a.v1.B/Get`)
  })

  it('is missing where the target is not known', () => {
    expect(normalKey('a.v1.B', 'service')).toBe('a.v1.B')
    expect(normalKey('/a.v1.B', 'service')).toBe('a.v1.B')
    expect(normalKey('/a.v1.B/Get', 'method')).toBe('a.v1.B/Get')
  })
})

describe('a circuit is found', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.stop())

  const port = (): number => Number(server.address.split(':')[1])
  const spellings = (port: number): string[] => [
    `localhost:${port}`,
    `LocalHost:${port}`,
    `dns:localhost:${port}`,
    `dns:///localhost:${port}`,
  ]

  async function opened(
    target: string,
    key: 'service' | 'method',
  ): Promise<{ breaker: CircuitBreaker; client: TestClient }> {
    const breaker = circuitBreaker({ key, policy: consecutive(1), clock: new FakeClock() })
    const channel = interceptChannel(createChannel(target, credentials.createInsecure()), breaker)
    const client = channel.client(TestClient)
    return { breaker, client }
  }

  it.each(['service', 'method'] as const)('under each spelling of its address, by %s', async (key) => {
    const behind = key === 'service' ? SERVICE : `${SERVICE}/Unary`
    for (const target of spellings(port())) {
      const { breaker, client } = await opened(target, key)
      for (const spelling of spellings(port())) expect(breaker.state(`${spelling}/${behind}`)).toBe('unused')
      expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      for (const spelling of spellings(port())) {
        const name = `${spelling}/${behind}`
        expect(breaker.state(name)).toBe('closed')
        const release = breaker.forceOpen(name)
        expect(breaker.state(name)).toBe('open')
        const { error } = await runRpc(client, 'unary')
        expect(error).toMatchObject({
          refusedBy: 'circuitBreaker',
          details: `Circuit localhost:${port()}/${behind} is open`,
        })
        release()
        breaker.reset(name)
      }
      await runRpc(client, 'unary', { metadata: server.behave(down) })
      for (const spelling of spellings(port())) {
        expect(breaker.state(`${spelling}/${behind}`)).toBe('open')
        expect(breaker.snapshot(`${spelling}/${behind}`)).toMatchObject({ state: 'open', openings: 1 })
      }
      expect(breaker.keys()).toEqual([`localhost:${port()}/${behind}`])
      client.close()
    }
  })

  it('by the service alone on a stub with a channel of its own', async () => {
    const breaker = circuitBreaker({ policy: consecutive(1) })
    const client = server.client(breaker)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    expect([breaker.state(SERVICE), breaker.state(`/${SERVICE}`)]).toEqual(['open', 'open'])
  })

  it('as one, where two channels name the same server differently', async () => {
    const breaker = circuitBreaker({ policy: consecutive(1) })
    const [one, two] = spellings(port()).map((target) =>
      interceptChannel(createChannel(target, credentials.createInsecure()), breaker).client(TestClient),
    ) as [TestClient, TestClient]
    await runRpc(one, 'unary', { metadata: server.behave(down) })
    expect((await runRpc(two, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    one.close()
    two.close()
  })

  it('by a text alone: a key that was not found does not stand for all circuits', async () => {
    const breaker = circuitBreaker()
    await runRpc(server.client(breaker), 'unary')
    for (const key of [undefined, null, 5] as never[]) {
      for (const control of ['state', 'snapshot', 'forceOpen', 'reset'] as const) {
        expect(() => breaker[control](key)).toThrow(`circuitBreaker.${control}: the key must be a text`)
      }
    }
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('or forceOpen says that there is none, and which there are', async () => {
    const breaker = circuitBreaker()
    expect(() => breaker.forceOpen('localhost:1/a.v1.B')).toThrow(
      new RangeError(
        'circuitBreaker.forceOpen: no call has come with the key "localhost:1/a.v1.B"; there is none yet. A circuit exists from ' +
          'its first call on; forceOpen() without a key holds all open, those to come included',
      ),
    )
    await runRpc(server.client(breaker), 'unary')
    expect(() => breaker.forceOpen('grpcstack.testing.test')).toThrow(`there are ${SERVICE}.`)
    const minted = circuitBreaker({ key: (call) => String(call.metadata.get('n')[0]) })
    const client = server.client(minted)
    for (let i = 0; i < 15; i++) {
      const metadata = server.behave(down)
      metadata.set('n', `key-${i}`)
      await runRpc(client, 'unary', { metadata })
    }
    expect(() => minted.forceOpen('KEY-1')).toThrow('key-8, key-9 and 5 more')
    expect(minted.state('key-1')).toBe('closed')
  })
})
