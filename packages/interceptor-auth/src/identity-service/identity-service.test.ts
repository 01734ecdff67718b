import { request as httpsRequest } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { Readable } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { status as Code } from '@grpc/grpc-js'
import { type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import { FakeClock, metadataOf, runRpc, settle, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAuthority } from '../../test/certificates.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { clientAuth, InvalidTokenError, serverAuth } from '../index.ts'
import { jwt } from '../jwt.ts'
import { clientCredentials, type Fetch, introspection } from '../oauth2.ts'

const SECRET = 's3cretOfThisClient'
const OPAQUE = 'opaqueTokenOfAlice'

let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer()
})
afterAll(() => issuer.endpoint.close())

let clock: FakeClock
let server: TestServer | undefined
const closers: (() => unknown)[] = []
beforeEach(() => {
  clock = new FakeClock(Date.now())
})
afterEach(async () => {
  await server?.stop()
  for (const close of closers.splice(0)) await close()
})

/** How a call ended, the texts its observers saw, and what they were told as cause. */
interface Ending {
  readonly code: string | undefined
  readonly texts: string
}

/** A service of this kind in use: makes one call. */
type Use = (fetch: Fetch) => Promise<() => Promise<Ending>>

/** All that is said in an error and its causes, as loggers and tracers write it. */
function textsOf(error: unknown, depth = 0): string {
  if (depth > 10 || error === undefined) return ''
  if (!(error instanceof Error)) return JSON.stringify(error) ?? String(error)
  const { message, stack, cause, ...own } = error as Error & Record<string, unknown>
  const errors: unknown[] = error instanceof AggregateError ? error.errors : []
  const inner = [cause, ...errors].map((other) => textsOf(other, depth + 1))
  return [message, stack, JSON.stringify({ ...own, metadata: undefined, payload: own.payload }), ...inner].join('\n')
}

async function verifying(verify: (token: string) => unknown, token: string): Promise<() => Promise<Ending>> {
  let texts = ''
  const observing: Interceptor = async (_call, next) => {
    const status = await next()
    texts += `${status.details}\n${textsOf(status.cause)}`
    return status
  }
  server = await startTestServer({ interceptors: [observing, serverAuth({ verify: verify as never, clock })] })
  const client = server.client()
  return async () => {
    const rpc = await runRpc(client, 'unary', { metadata: metadataOf({ authorization: `Bearer ${token}` }) })
    return { code: Code[rpc.status?.code ?? -1], texts: texts + textsOf(rpc.error) }
  }
}

const identity = { clientId: 'shop', clientSecret: SECRET }

const uses: [string, Use][] = [
  [
    'a key set',
    async (fetch) => {
      const remote = { fetch }
      const verify = jwt({ jwks: 'https://id.example/keys?key=q', issuer: ISSUER, audience: AUDIENCE, remote, clock })
      return verifying(verify, await issuer.token({ exp: Math.floor(Date.now() / 1000) + 86_400 }))
    },
  ],
  [
    'introspection',
    async (fetch) => verifying(introspection({ endpoint: 'https://id.example/', ...identity, fetch, clock }), OPAQUE),
  ],
  [
    'client credentials',
    async (fetch) => {
      const token = clientCredentials({ tokenEndpoint: 'https://id.example/', ...identity, fetch, clock })
      let texts = ''
      const observing: Interceptor = async (_call, next) => {
        const status = await next()
        texts += `${status.details}\n${textsOf(status.cause)}`
        return status
      }
      server = await startTestServer()
      const client = server.client(observing, clientAuth({ token, allowInsecure: true, clock }))
      return async () => {
        const rpc = await runRpc(client, 'unary')
        return { code: Code[rpc.status?.code ?? -1], texts: texts + textsOf(rpc.error) }
      }
    },
  ],
]

/** What a healthy service answers, whichever it is. */
const healthy: Fetch = async () =>
  new Response(
    JSON.stringify({
      ...(await issuer.jwks()),
      ...{ active: true, sub: 'alice', access_token: 'issued', token_type: 'Bearer', expires_in: 3600 },
    }),
  )

async function listening(service: ReturnType<typeof createTcpServer>): Promise<string> {
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise((resolve) => service.close(resolve)))
  return `127.0.0.1:${(service.address() as AddressInfo).port}`
}

const authority = createAuthority()

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'

function tlsService(notAfter?: number): Promise<string> {
  const names = {
    commonName: 'localhost',
    dns: ['localhost'],
    ip: ['127.0.0.1'],
    ...(notAfter !== undefined && { notAfter }),
  }
  return listening(createTlsServer(authority.issue(names), (socket) => socket.on('error', () => {}).end(OK)))
}

/** A `fetch` that trusts the test's authority. */
const trusting =
  (address: string): Fetch =>
  (_url, { signal }) =>
    new Promise((resolve, reject) => {
      httpsRequest(`https://${address}/`, { ca: authority.cert, signal }, (answer) => {
        answer.resume()
        resolve(new Response('{}', { status: answer.statusCode ?? 500 }))
      })
        .on('error', reject)
        .end()
    })

const answering = (bytes: string) =>
  listening(
    createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(bytes))
    }),
  )

const through =
  (url: string): Fetch =>
  (_url, init) =>
    fetch(url, init)

/** A body that breaks its own rules: texts instead of bytes. */
const textual = () => new ReadableStream<unknown>({ start: (out) => out.enqueue('{}') }) as ReadableStream<Uint8Array>

/** What the service's answer or an application's fetch may quote. */
const quoting = (init: RequestInit): string =>
  `${init.body} ${JSON.stringify(init.headers)} ${SECRET} ${OPAQUE} access_token`

const outages: [string, () => Promise<Fetch>][] = [
  ['an untrusted certificate', async () => through(`https://${await tlsService()}/`)],
  ['an expired certificate', async () => trusting(await tlsService(Date.now() - 60_000))],
  ['TLS to a plain port', async () => through(`https://${await answering(OK)}/`)],
  ['an answer that is no HTTP', async () => through(`http://${await answering('SSH-2.0-OpenSSH_9.9\r\n')}/`)],
  ['a body cut short', async () => through(`http://${await answering(`${OK.replace(': 2', ': 999')}`)}/`)],
  ['a name that does not resolve', async () => through('http://nowhere.invalid/')],
  ['a fetch that fails without a code', async () => () => Promise.reject(new TypeError('fetch failed'))],
  [
    'a fetch that throws at once',
    async () => () => {
      throw new Error('no proxy')
    },
  ],
  ['a fetch that throws a text', async () => () => Promise.reject('no proxy')],
  ['a fetch that throws nothing', async () => () => Promise.reject(undefined)],
  ['a fetch that refuses as a verifier would', async () => () => Promise.reject(new InvalidTokenError('no proxy'))],
  [
    'a fetch that ends as an RPC does',
    async () => () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, 'no proxy')),
  ],
  ['a fetch that gives nothing', async () => async () => undefined as never],
  ['a fetch that quotes what it sends', async () => (_url, init) => Promise.reject(new Error(quoting(init)))],
  [
    'a fetch whose cause quotes what it sends',
    async () => (_url, init) => Promise.reject(new TypeError('failed', { cause: new Error(quoting(init)) })),
  ],
  [
    'a fetch that reads the answer itself, and fails to',
    async () => async (_url, init) => JSON.parse(`${SECRET} ${OPAQUE} ${quoting(init)}`),
  ],
  ['an answer that quotes what it got', async () => async (_url, init) => new Response(quoting(init))],
  ['an error that quotes what it got', async () => async (_url, init) => new Response(quoting(init), { status: 500 })],
  ['a body of texts', async () => async () => new Response(textual())],
]

describe.each(uses)('%s: a service that cannot be reached or trusted', (_what, use) => {
  for (const [how, make] of outages) {
    it(`is UNAVAILABLE, not remembered, and no secret is told: ${how}`, async () => {
      let fetch = await make()
      let asked = 0
      const call = await use((url, init) => {
        asked++
        return fetch(url, init)
      })
      const failed = await call()
      expect(failed.code).toBe('UNAVAILABLE')
      for (const secret of [SECRET, OPAQUE, 'key=q', Buffer.from(`shop:${SECRET}`).toString('base64')]) {
        expect(failed.texts).not.toContain(secret)
        // What JSON.parse quotes is cut after some ten characters.
        expect(failed.texts).not.toContain(secret.slice(0, 8))
      }
      fetch = healthy
      await clock.advance(2000)
      expect((await call()).code).toBe('OK')
      expect(asked).toBe(2)
    })
  }

  const stuck: [string, Fetch][] = [
    ['a fetch that ignores its signal', () => new Promise(() => undefined)],
    [
      'a body that never ends',
      async () => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) })),
    ],
    [
      'a thenable that never calls back',
      // biome-ignore lint/suspicious/noThenProperty: that is what the test is about
      () => ({ then: () => undefined }) as never,
    ],
  ]
  for (const [how, hanging] of stuck) {
    it(`is given up in time: ${how}`, async () => {
      let fetch = hanging
      const call = await use((url, init) => fetch(url, init))
      const waiting = call()
      while (clock.pending === 0) await settle()
      await settle(20)
      await clock.advance(10_000)
      expect((await waiting).code).toBe('UNAVAILABLE')
      expect(clock.pending).toBe(0)
      fetch = healthy
      await clock.advance(2000)
      expect((await call()).code).toBe('OK')
    })
  }

  it("is read through a fetch whose bodies are Node's streams", async () => {
    const call = await use(async (url, init) => {
      const { status, headers, body } = await healthy(url, init)
      const bytes = body && Readable.fromWeb(body as never)
      return { status, headers, body: bytes } as never
    })
    expect((await call()).code).toBe('OK')
  })

  it('a body that comes too late is cancelled', async () => {
    let cancelled = 0
    let answer: ((response: Response) => void) | undefined
    const body = () => new ReadableStream({ pull: () => new Promise(() => undefined), cancel: () => void cancelled++ })
    const call = await use(
      () =>
        new Promise((resolve) => {
          answer = resolve
        }),
    )
    const waiting = call()
    while (answer === undefined) await settle()
    await clock.advance(10_000)
    expect((await waiting).code).toBe('UNAVAILABLE')
    answer(new Response(body()))
    await settle(20)
    expect(cancelled).toBe(1)
  })
})

describe('an address with credentials in it', () => {
  const places: [string, (url: string | URL) => unknown][] = [
    ['jwks', (url) => jwt({ jwks: url, issuer: ISSUER, audience: AUDIENCE })],
    ['jwks', (url) => jwt({ jwks: url, issuer: ISSUER, audience: AUDIENCE, allowInsecure: true })],
    ['endpoint', (url) => introspection({ endpoint: url, ...identity })],
    ['tokenEndpoint', (url) => clientCredentials({ tokenEndpoint: url, ...identity })],
  ]
  const urls = [
    'https://admin:hunter2@id.example/keys',
    'https://hunter2@id.example/keys',
    'https://:hunter2@id.example/keys',
    'http://admin:hunter2@127.0.0.1/keys',
    'http://admin:hunter2@id.example/keys',
    new URL('https://admin:hunter2@id.example/keys'),
    // Not even an address.
    'https://admin:hunter2@',
    'admin:hunter2@id.example',
  ]
  for (const [name, make] of places) {
    for (const url of urls) {
      it(`is refused by "${name}" at set-up and not printed: ${String(url).replace('hunter2', '…')}`, () => {
        expect(() => make(url)).toThrow(TypeError)
        expect(() => make(url)).toThrow(new RegExp(`option "${name}"`))
        expect(() => make(url)).not.toThrow(/hunter2/)
      })
    }
  }

  it('says what to write instead', () => {
    expect(() => jwt({ jwks: 'https://a:b@id.example/', issuer: ISSUER, audience: AUDIENCE })).toThrow(
      /must be a URL without a user or password/,
    )
  })
})
