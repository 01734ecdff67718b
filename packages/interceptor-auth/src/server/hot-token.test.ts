import { status as Code, Metadata } from '@grpc/grpc-js'
import type { Next, ServerCall, Status } from '@grpc-stack/grpc-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { policy, serverAuth } from '../index.ts'
import { jwt } from '../jwt.ts'

let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer('RS256')
})
afterAll(() => issuer.endpoint.close())

const OK: Promise<Status> = Promise.resolve({ code: Code.OK })
const next: Next = () => OK

/** As much of a call as the interceptor looks at: what is measured is the interceptor alone. */
function callWith(token: string): ServerCall {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  return {
    metadata,
    method: { path: '/a/b', service: 'a', name: 'b', pattern: 'unary', registered: true },
    context: { set: () => undefined },
    peer: () => '127.0.0.1:50000',
    signal: new AbortController().signal,
  } as unknown as ServerCall
}

it('a token that is known costs no promise of its own', async () => {
  const interceptor = serverAuth({ verify: jwt({ jwks: await issuer.jwks(), issuer: ISSUER, audience: AUDIENCE }) })
  const call = callWith(await issuer.token())
  expect((await interceptor(call, next)).code).toBe(Code.OK)
  expect(interceptor(call, next)).toBe(OK)
})

it('a token that is known is looked up within the call, policy included, and says what that takes', async () => {
  const interceptor = serverAuth({
    verify: jwt({ jwks: await issuer.jwks(), issuer: ISSUER, audience: AUDIENCE }),
    authorize: policy({ allow: [{ name: 'readers', methods: 'a', claims: { role: 'reader' } }] }),
  })
  // The size of a token from a large identity provider.
  const claims = {
    role: 'reader',
    email: 'alice@example.com',
    groups: Array.from({ length: 20 }, (_, n) => `group-${n}`),
  }
  const token = await issuer.token(claims)
  // Each call brings a string of its own, as from the wire.
  const calls = Array.from({ length: 1000 }, () => callWith(Buffer.from(token).toString()))
  expect((await interceptor(calls[0]!, next)).code).toBe(Code.OK)
  const rounds = Array.from({ length: 100 }, () => {
    const start = process.hrtime.bigint()
    for (const call of calls) void interceptor(call, next)
    return Number(process.hrtime.bigint() - start) / 1000 / calls.length
  }).toSorted((a, b) => a - b)
  const [fastest = 0, median = 0] = [rounds[0], rounds[50]]
  console.log(`a hot token of ${token.length} bytes: median ${median.toFixed(2)} µs, fastest ${fastest.toFixed(2)} µs`)
  // Not even a promise: what it takes differs by machine, and is printed.
  for (const call of calls) expect(interceptor(call, next)).toBe(OK)
})
