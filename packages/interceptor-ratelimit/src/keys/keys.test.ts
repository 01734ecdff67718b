import { createHash } from 'node:crypto'
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
    ['believes no header by default', {}, ['203.0.113.9'], '127.0.0.1'],
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
      'takes the proxy itself where the header holds no address',
      { trustedProxies: ['127.0.0.1'] },
      ['203.0.113.9, no-address'],
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

  // reference: flaw 64
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
  const sha256 = (value: string | Buffer): string => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf16le') : value
    return createHash('sha256').update(bytes).digest('base64url')
  }

  it('is the digest of the value, which may be a secret', async () => {
    const key = await keyOf(byMetadata('x-api-key'), metadataOf({ 'x-api-key': 'sk_live_1' }))
    expect(key).toBe(`x-api-key=sha256:${sha256('sk_live_1')}`)
    const bytes = Buffer.from([1, 2])
    expect(await keyOf(byMetadata('id-bin'), metadataOf({ 'id-bin': bytes }))).toBe(`id-bin=sha256:${sha256(bytes)}`)
  })

  it('is the value where it is said to be no secret', async () => {
    const plain = { secret: false }
    expect(await keyOf(byMetadata('x-tenant', plain), metadataOf({ 'x-tenant': 'shop' }))).toBe('x-tenant=shop')
    expect(await keyOf(byMetadata('id-bin', plain), metadataOf({ 'id-bin': Buffer.from([1, 2]) }))).toBe('id-bin=AQI=')
  })

  it('is the same for a value with spaces around it', async () => {
    const key = byMetadata('x-api-key')
    const spaced = (call: Call): void => call.metadata.set('x-api-key', ' k1  ')
    const expected = await keyOf(key, metadataOf({ 'x-api-key': 'k1' }))
    expect(await keyOf(key, undefined, spaced)).toBe(expected)
  })

  it('takes a call with several values for one without, as its caller chooses which comes first', async () => {
    const several = (call: Call): void => {
      call.metadata.add('x-api-key', 'made up')
      call.metadata.add('x-api-key', 'k1')
    }
    expect(await keyOf(byMetadata('x-api-key'), undefined, several)).toBeUndefined()
    expect(await keyOf(byMetadata('x-api-key', { otherwise: byMethod }), undefined, several)).toBe(
      '/grpcstack.testing.Test/Unary',
    )
  })

  it.each(['authorization', 'proxy-authorization', 'cookie'])('refuses %s, and says what to use', (name) => {
    expect(() => byMetadata(name)).toThrow(TypeError)
    expect(() => byMetadata(name)).toThrow(
      `byMetadata: one credential has many spellings in "${name}", each with a limit of its own; use byPrincipal(principalVar)`,
    )
  })

  it('names the option that is wrong', () => {
    // @ts-expect-error: a number is not allowed
    expect(() => byMetadata('x-tenant', { secret: 1 })).toThrow('byMetadata: option "secret"')
    // @ts-expect-error: no such option
    expect(() => byMetadata('x-tenant', { plain: true })).toThrow('byMetadata: unknown option "plain"')
  })

  it('leaves a call without the entry to the fallback', async () => {
    expect(await keyOf(byMetadata('x-api-key'))).toBeUndefined()
    expect(await keyOf(byMetadata('x-api-key', { otherwise: byMethod }))).toBe('/grpcstack.testing.Test/Unary')
  })
})

describe('byPrincipal', () => {
  const principalVar = new ContextVar<{ subject: string; claims?: object }>('principal')
  const key = byPrincipal(principalVar, { otherwise: () => 'anonymous' })

  // reference: sentence 35
  it('is the subject an outer interceptor has set', async () => {
    expect(await keyOf(key, undefined, () => principalVar.set({ subject: 'shop' }))).toBe('subject=shop')
    expect(await keyOf(key, undefined, (call) => call.context.set(principalVar, { subject: 'shop' }))).toBe(
      'subject=shop',
    )
  })

  it('leaves a call without a principal to the fallback', async () => {
    expect(await keyOf(key)).toBe('anonymous')
    expect(await keyOf(key, undefined, () => principalVar.set({ subject: '' }))).toBe('anonymous')
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
