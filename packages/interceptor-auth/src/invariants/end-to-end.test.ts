import { status as Code, credentials, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js'
import { createChannel, createServer, healthAndReflection, interceptChannel } from '@grpc-stack/grpc-core'
import { patterns, runRpc, startTestServer, TestClient, type TestMessage, testService } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../../test/certificates.ts'
import { type HttpEndpoint, startEndpoint } from '../../test/http-endpoint.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { clientAuth, policy, principalVar, serverAuth } from '../index.ts'
import { type JwtOptions, jwt } from '../jwt.ts'
import { clientCredentials } from '../oauth2.ts'

const authority = createAuthority()
const machine = authority.issue({ commonName: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })
const serverCredentials = ServerCredentials.createSsl(null, [{ cert_chain: machine.cert, private_key: machine.key }])
const channelCredentials = credentials.createSsl(authority.cert)

let issuer: Issuer
let tokens: HttpEndpoint
beforeAll(async () => {
  issuer = await startIssuer('ES256')
  tokens = await startEndpoint(async ({ form }) => ({
    access_token: await issuer.token({ sub: 'billing', scope: form.get('scope') }),
    token_type: 'Bearer',
    expires_in: 3600,
  }))
})
afterAll(async () => {
  await issuer.endpoint.close()
  await tokens.close()
})

const guard = ({ remote = {}, cache = true }: Pick<JwtOptions, 'remote'> & { cache?: boolean } = {}) =>
  serverAuth({
    verify: jwt({ jwks: issuer.endpoint.url, issuer: ISSUER, audience: AUDIENCE, remote }),
    cache,
    public: healthAndReflection,
    authorize: policy({ allow: [{ name: 'readers', methods: 'grpcstack.testing.*', scopes: 'read' }] }),
  })

const identify = (scope: string) =>
  clientAuth({
    token: clientCredentials({ tokenEndpoint: tokens.url, clientId: 'billing', clientSecret: 's3cret', scope }),
  })

describe('tokens from an OAuth 2.0 server, over TLS, to a server that checks them', () => {
  it('on a server and channels of grpc-core', async () => {
    const server = createServer({ interceptors: [guard()] })
    const subjects: string[] = []
    server.addService(
      { unary: testService.unary },
      {
        unary: async (_call: ServerUnaryCall<TestMessage, TestMessage>): Promise<TestMessage> => {
          subjects.push(principalVar.get().subject)
          return { text: 'hello' }
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', serverCredentials, (error, bound) => (error ? reject(error) : resolve(bound))),
    )
    const base = createChannel(`127.0.0.1:${port}`, channelCredentials)
    try {
      const call = async (scope: string) => {
        const client = interceptChannel(base, identify(scope)).client(TestClient)
        return (await runRpc(client, 'unary')).status?.code
      }
      expect(await call('read write')).toBe(Code.OK)
      expect(await call('write')).toBe(Code.PERMISSION_DENIED)
      expect((await runRpc(base.client(TestClient), 'unary')).status?.code).toBe(Code.UNAUTHENTICATED)
      expect(subjects).toEqual(['billing'])
    } finally {
      base.close()
      server.forceShutdown()
    }
  })

  it('on a stock server and stock stubs, for all patterns, across a rotation of keys', async () => {
    const server = await startTestServer({
      stock: true,
      // Nothing is kept, so that the withdrawal of a key shows at once.
      interceptors: [guard({ remote: { cooldownMs: 0, maxAgeMs: 1 }, cache: false })],
      credentials: serverCredentials,
      channelCredentials,
    })
    try {
      const client = server.client(identify('read'))
      const asked = tokens.requests.length
      const callAll = async () => {
        for (const pattern of patterns) expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
      }
      await callAll()
      // The token at hand is of a key that is gone; the one that replaces it is of a key the server has not seen.
      await issuer.rotate()
      issuer.keys.shift()
      await callAll()
      expect(tokens.requests).toHaveLength(asked + 2)
    } finally {
      await server.stop()
    }
  })
})
