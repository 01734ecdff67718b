import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { createAuthority } from '../../packages/interceptor-auth/test/certificates.ts'

/** Certificates in files, as the pages read them. */
export interface Certificates {
  file(name: string): string
}

export function makeCertificates(folder: string): Certificates {
  mkdirSync(folder, { recursive: true })
  const authority = createAuthority()
  const issued = {
    server: authority.issue({ commonName: 'localhost', dns: ['localhost'] }),
    client: authority.issue({ uri: ['spiffe://example.org/client'] }),
    stranger: authority.issue({ uri: ['spiffe://example.net/client'] }),
  }
  const file = (name: string): string => join(folder, name)
  writeFileSync(file('ca.pem'), authority.cert)
  for (const [name, { cert, key }] of Object.entries(issued)) {
    writeFileSync(file(`${name}.pem`), cert)
    writeFileSync(file(`${name}.key`), key)
  }
  return { file }
}

/** The issuer of the page on tokens: it publishes its keys, and gives a client its token, over HTTPS on `localhost`. */
export async function startIdentityProvider(certificates: Certificates, port: number) {
  const issuer = `https://localhost:${port}/`
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const token = (claims: JWTPayload = {}): Promise<string> =>
    new SignJWT({ scope: 'greet', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(issuer)
      .setAudience('greeter')
      .setSubject('greeter-client')
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey)
  const answers: Readonly<Record<string, () => Promise<object>>> = {
    'GET /.well-known/jwks.json': async () => ({
      keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }],
    }),
    'POST /token': async () => ({ access_token: await token(), token_type: 'Bearer', expires_in: 3600 }),
  }
  const tls = {
    cert: readFileSync(certificates.file('server.pem')),
    key: readFileSync(certificates.file('server.key')),
  }
  const server = createServer(tls, async (request, response) => {
    const answer = answers[`${request.method} ${request.url}`]
    response.statusCode = answer === undefined ? 404 : 200
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(await answer?.()))
  })
  await once(server.listen(port, 'localhost'), 'listening')
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { token, close }
}
