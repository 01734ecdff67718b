import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { echo, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { type Certified, createAuthority, type Names } from '../../test/certificates.ts'
import { type MtlsOptions, mtls, type Principal, principalVar, serverAuth } from '../index.ts'

let server: TestServer
afterEach(() => server?.stop())

const authority = createAuthority()
const machine = authority.issue({ commonName: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })

/** Makes a call with this client certificate; gives the principal the handler saw, or the code. */
async function callWith(
  client: Certified | undefined,
  options: MtlsOptions = {},
  checkClient = true,
): Promise<Principal | string | undefined> {
  let principal: Principal | undefined
  server = await startTestServer({
    interceptors: [serverAuth({ verify: mtls(options) })],
    credentials: ServerCredentials.createSsl(
      authority.cert,
      [{ cert_chain: machine.cert, private_key: machine.key }],
      checkClient,
    ),
    channelCredentials: credentials.createSsl(authority.cert, client?.key ?? null, client?.cert ?? null),
    behaviour: (rpc) => {
      principal = principalVar.get()
      return echo(rpc)
    },
  })
  const rpc = await runRpc(server.client(), 'unary')
  return rpc.status?.code === Code.OK ? principal : Code[rpc.status?.code ?? -1]
}

const subjectOf = async (names: Names, options?: MtlsOptions) => {
  const found = await callWith(authority.issue(names), options)
  return typeof found === 'string' ? found : found?.subject
}

const all: Names = {
  commonName: 'shop',
  organization: 'Example',
  dns: ['shop.example.org', 'other.example.org'],
  uri: ['spiffe://example.org/shop'],
}

describe('mtls: names in the order of gRFC A43', () => {
  it('URI first', async () => expect(await subjectOf(all)).toBe('spiffe://example.org/shop'))
  it('then DNS', async () => expect(await subjectOf({ ...all, uri: [] })).toBe('shop.example.org'))
  it('then subject', async () => expect(await subjectOf({ ...all, uri: [], dns: [] })).toBe('CN=shop,O=Example'))
  it('no identity without any', async () => expect(await subjectOf({})).toBe('UNAUTHENTICATED'))

  it('only the kinds that are asked for', async () => {
    expect(await subjectOf(all, { identity: 'dns' })).toBe('shop.example.org')
  })
  it('in the order that is asked for', async () => {
    expect(await subjectOf(all, { identity: ['subject', 'uri'] })).toBe('CN=shop,O=Example')
  })
  it('no identity without one of them', async () => {
    expect(await subjectOf({ ...all, uri: [] }, { identity: 'uri' })).toBe('UNAUTHENTICATED')
  })
  it('two URIs are no identity, and no reason to look further', async () => {
    expect(await subjectOf({ ...all, uri: ['spiffe://a/x', 'spiffe://a/y'] })).toBe('UNAUTHENTICATED')
  })
  it('only whom accept knows', async () => {
    const accept = (identity: string) => identity.startsWith('spiffe://example.org/')
    expect(await subjectOf(all, { accept })).toBe('spiffe://example.org/shop')
    expect(await subjectOf({ uri: ['spiffe://evil.org/shop'] }, { accept })).toBe('UNAUTHENTICATED')
  })

  it('all of them are claims, and the certificate bounds the principal in time', async () => {
    const notAfter = Math.floor(Date.now() / 1000) * 1000 + 60_000
    const found = await callWith(authority.issue({ ...all, notAfter }))
    expect(found).toMatchObject({
      claims: { uri: all.uri, dns: all.dns, subject: 'CN=shop,O=Example' },
      expiresAt: notAfter,
    })
  })
})

describe('mtls: names that try to pass for others', () => {
  it('a separator inside a name does not make two', async () => {
    const name = 'shop.example.org, URI:spiffe://example.org/admin'
    expect(await subjectOf({ dns: [name] })).toBe(name)
  })
  it('special characters of a subject are escaped', async () => {
    expect(await subjectOf({ commonName: 'a,O=Example' })).toBe('CN=a\\,O\\=Example')
    expect(await subjectOf({ commonName: ' a+b\\' })).toBe('CN=\\ a\\+b\\\\')
  })
})

describe('mtls: connections that prove nothing', () => {
  it('TLS without a client certificate', async () =>
    expect(await callWith(undefined, {}, false)).toBe('UNAUTHENTICATED'))

  it('a certificate of an authority that is not trusted', async () => {
    const stranger = createAuthority({ commonName: 'Stranger' }).issue(all)
    // The server may take the connection and leave the judgement to us.
    expect(await callWith(stranger, {}, false)).toBe('UNAUTHENTICATED')
  })

  it('a certificate that has expired', async () => {
    expect(await callWith(authority.issue({ ...all, notAfter: Date.now() - 1000 }), {}, false)).toBe('UNAUTHENTICATED')
  })

  it('plaintext', async () => {
    server = await startTestServer({ interceptors: [serverAuth({ verify: mtls() })] })
    expect((await runRpc(server.client(), 'unary')).status?.code).toBe(Code.UNAUTHENTICATED)
  })
})

it('wrong options throw', () => {
  expect(() => mtls({ identity: 'email' as never })).toThrow(/option "identity"/)
  expect(() => mtls({ identity: [] })).toThrow(/option "identity"/)
  expect(() => mtls({ accept: 'all' as never })).toThrow(/option "accept"/)
})
