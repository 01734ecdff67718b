import { Metadata } from '@grpc/grpc-js'
import { type Call, ContextVar } from '@grpc-stack/grpc-core'
import { metadataOf, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { byEach, byMetadata, byMethod, byPeer, byPrincipal, type KeyFunction, peerAddress, unlimited } from './keys.ts'

/** The key of a real call that carries this metadata. */
async function keyOf(key: KeyFunction, metadata = new Metadata(), before?: (call: Call) => void): Promise<unknown> {
  let seen: unknown
  await using server = await startTestServer({
    interceptors: [
      (call, next) => {
        before?.(call)
        return next()
      },
      (call, next) => {
        seen = key(call)
        return next()
      },
    ],
  })
  const rpc = await runRpc(server.client(), 'unary', { metadata })
  expect(rpc.status?.code).toBe(0)
  return seen
}

const forwarded = (...lines: string[]): Metadata => {
  const metadata = new Metadata()
  for (const line of lines) metadata.add('x-forwarded-for', line)
  return metadata
}

describe('peerAddress', () => {
  it('is the address of the connection without its port', async () => {
    expect(await keyOf(peerAddress)).toBe('127.0.0.1')
  })
})

describe('byPeer', () => {
  it.each<[string, Parameters<typeof byPeer>[0], string[], string]>([
    ['believes nobody by default', {}, ['203.0.113.9'], '127.0.0.1'],
    [
      'takes the last address no trusted proxy has',
      { trustedProxies: ['127.0.0.1'] },
      ['6.6.6.6, 203.0.113.9'],
      '203.0.113.9',
    ],
    [
      'follows a chain of trusted proxies over several header lines',
      { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] },
      ['6.6.6.6, 203.0.113.9', '10.0.0.1, 10.0.0.2'],
      '203.0.113.9',
    ],
    ['takes the proxy itself without a header', { trustedProxies: ['127.0.0.1'] }, [], '127.0.0.1'],
    [
      'takes the proxy itself where the header is rubbish',
      { trustedProxies: ['127.0.0.1'] },
      ['203.0.113.9, rubbish'],
      '127.0.0.1',
    ],
    ['ignores the header of a peer it does not trust', { trustedProxies: ['10.0.0.1'] }, ['203.0.113.9'], '127.0.0.1'],
    ['counts proxies', { trustedProxies: 2 }, ['6.6.6.6, 203.0.113.9, 10.0.0.1'], '203.0.113.9'],
    ['takes the first there is where there are fewer', { trustedProxies: 3 }, ['203.0.113.9'], '203.0.113.9'],
    [
      'takes all addresses of an IPv6 /64 for one caller',
      { trustedProxies: 1 },
      ['2001:db8::1'],
      '2001:db8:0:0:0:0:0:0/64',
    ],
    [
      'takes another part of an IPv6 address on request',
      { trustedProxies: 1, ipv6Prefix: 56 },
      ['2001:db8:0:1ff::1'],
      '2001:db8:0:100:0:0:0:0/56',
    ],
    [
      'takes each IPv6 address by itself on request',
      { trustedProxies: 1, ipv6Prefix: 128 },
      ['2001:db8::1'],
      '2001:db8:0:0:0:0:0:1',
    ],
  ])('%s', async (_name, options, lines, expected) => {
    expect(await keyOf(byPeer(options), forwarded(...lines))).toBe(expected)
  })

  it('reads another header on request', async () => {
    const key = byPeer({ trustedProxies: 1, header: 'x-real-ip' })
    expect(await keyOf(key, metadataOf({ 'x-real-ip': '203.0.113.9' }))).toBe('203.0.113.9')
  })

  it('reads a bounded part of a header made of trusted addresses', async () => {
    const key = byPeer({ trustedProxies: ['127.0.0.1', '10.0.0.0/8'] })
    expect(await keyOf(key, forwarded(`203.0.113.9${', 10.0.0.1'.repeat(500)}`))).toBe('10.0.0.1')
  })

  it.each<[unknown, string]>([
    [{ trustedProxies: ['nonsense'] }, 'option "trustedProxies"[0]'],
    [{ trustedProxies: -1 }, 'option "trustedProxies"'],
    [{ trustedProxies: '10.0.0.1' }, 'option "trustedProxies"'],
    [{ header: 'X-Forwarded-For' }, 'option "header"'],
    [{ ipv6Prefix: 129 }, 'option "ipv6Prefix"'],
    [{ proxies: 1 }, 'unknown option "proxies"'],
  ])('names the option that is wrong: %j', (options, message) => {
    expect(() => byPeer(options as object)).toThrow(message)
  })
})

describe('byMetadata', () => {
  it('is the first value of the entry', async () => {
    expect(await keyOf(byMetadata('x-api-key'), metadataOf({ 'x-api-key': 'k1' }))).toBe('x-api-key=k1')
    expect(await keyOf(byMetadata('id-bin'), metadataOf({ 'id-bin': Buffer.from([1, 2]) }))).toBe('id-bin=AQI=')
  })

  it('leaves a call without the entry to the fallback', async () => {
    expect(await keyOf(byMetadata('x-api-key'))).toBeUndefined()
    expect(await keyOf(byMetadata('x-api-key', { otherwise: byMethod }))).toBe('/grpcstack.testing.Test/Unary')
  })
})

describe('byPrincipal', () => {
  const principalVar = new ContextVar<{ subject: string; claims?: object }>('principal')
  const key = byPrincipal(principalVar, { otherwise: () => 'nobody' })

  it('is the subject an outer interceptor has set', async () => {
    expect(await keyOf(key, undefined, () => principalVar.set({ subject: 'shop' }))).toBe('subject=shop')
    expect(await keyOf(key, undefined, (call) => call.context.set(principalVar, { subject: 'shop' }))).toBe(
      'subject=shop',
    )
  })

  it('leaves a call nobody proved to make to the fallback', async () => {
    expect(await keyOf(key)).toBe('nobody')
    expect(await keyOf(key, undefined, () => principalVar.set({ subject: '' }))).toBe('nobody')
    expect(await keyOf(byPrincipal(principalVar))).toBeUndefined()
  })

  it('wants a variable', () => {
    // @ts-expect-error: a name is no variable
    expect(() => byPrincipal('principal')).toThrow('byPrincipal: expected a ContextVar')
  })
})

describe('byEach', () => {
  const from =
    (text: string): KeyFunction =>
    () =>
      text

  it('cannot be made to look like another caller by the choice of one part', async () => {
    expect(await keyOf(byEach(from('a'), from('b 1:c')))).not.toBe(await keyOf(byEach(from('a 3:b'), from('c'))))
    expect(await keyOf(byEach(from('ab'), from('c')))).not.toBe(await keyOf(byEach(from('a'), from('bc'))))
  })

  it('puts the peer where a part has no value, and exempts where a part exempts', async () => {
    expect(await keyOf(byEach(byMethod, () => undefined))).toBe('29:/grpcstack.testing.Test/Unary 9:127.0.0.1 ')
    expect(await keyOf(byEach(byMethod, () => unlimited))).toBe(unlimited)
  })
})
