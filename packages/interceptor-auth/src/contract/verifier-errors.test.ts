import { status as Code, Metadata } from '@grpc/grpc-js'
import { type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import type { TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { alice, answerTo, DOWN, REFUSED, startAuthServer, stopAuthServers, verify } from '../../test/auth-server.ts'
import { InvalidTokenError, type Principal, shareable, VerifierUnavailableError } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

// reference: flaw 50, symbol 73
describe('what is not about the credential is not reported as such', () => {
  it('an InvalidTokenError thrown further in is an error of the handler', async () => {
    const inner: Interceptor = function inner() {
      throw new InvalidTokenError('of something else')
    }
    server = await startAuthServer({ verify }, { after: [inner] })
    expect(await answerTo(server, 'Bearer good')).toBe('INTERNAL: Internal error')
  })

  it('UNAUTHENTICATED of the handler reaches the client as the handler wrote it', async () => {
    server = await startAuthServer(
      { verify },
      { behaviour: (rpc) => rpc.end({ code: Code.UNAUTHENTICATED, details: 'of the handler' }) },
    )
    expect(await answerTo(server, 'Bearer good')).toBe('UNAUTHENTICATED: of the handler')
  })

  const named = (name: string) => Object.assign(new Error('x'), { name })
  const coded = (code: string | number) => Object.assign(new Error('x'), { code })
  const thrown: [string, () => unknown, string][] = [
    ['a plain error', () => new Error('signature'), REFUSED],
    ['an InvalidTokenError', () => new InvalidTokenError('x'), REFUSED],
    ['a text', () => 'no', REFUSED],
    ['undefined', () => undefined, REFUSED],
    ['a VerifierUnavailableError', () => new VerifierUnavailableError('x'), DOWN],
    ['ECONNREFUSED', () => coded('ECONNREFUSED'), DOWN],
    ['ECONNRESET', () => coded('ECONNRESET'), DOWN],
    ['ETIMEDOUT', () => coded('ETIMEDOUT'), DOWN],
    ['EAI_AGAIN', () => coded('EAI_AGAIN'), DOWN],
    ['ENOENT', () => coded('ENOENT'), REFUSED],
    ['a failed fetch', () => new TypeError('fetch failed', { cause: coded('ECONNREFUSED') }), DOWN],
    ['a failed fetch to several addresses', () => new AggregateError([coded('ENETUNREACH')]), DOWN],
    ['a timeout of undici', () => new TypeError('fetch failed', { cause: coded('UND_ERR_HEADERS_TIMEOUT') }), DOWN],
    ['an aborted fetch', () => named('AbortError'), DOWN],
    ['AbortSignal.timeout', () => new DOMException('x', 'TimeoutError'), DOWN],
    ...[
      ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      ...[
        'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
        'CERT_HAS_EXPIRED',
        'CERT_NOT_YET_VALID',
        'ERR_TLS_CERT_ALTNAME_INVALID',
      ],
      ...['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO', 'HPE_INVALID_CONSTANT'],
      ...['ERR_HTTP2_STREAM_ERROR', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_SOCKET_CLOSED', 'ENOBUFS', 'EAI_FAIL'],
    ].map((code): [string, () => unknown, string] => [
      `${code}, as a cause`,
      () => new Error('x', { cause: coded(code) }),
      DOWN,
    ]),
    ['a failed fetch without a code', () => new TypeError('fetch failed'), DOWN],
    ['a fetch that broke off', () => new TypeError('terminated'), DOWN],
    ['a system error of any other kind', () => Object.assign(coded('EACCES'), { errno: -13, syscall: 'open' }), DOWN],
    ['a VerifierUnavailableError as a cause', () => new Error('x', { cause: new VerifierUnavailableError('x') }), DOWN],
    [
      'an error that is its own cause',
      () => {
        const e = new Error('x')
        e.cause = e
        return e
      },
      REFUSED,
    ],
    ['a TypeError of its own', () => new TypeError('x is not a function'), REFUSED],
    ['RpcError UNAVAILABLE', () => new RpcError(Code.UNAVAILABLE, 'x'), DOWN],
    ['RpcError DEADLINE_EXCEEDED', () => new RpcError(Code.DEADLINE_EXCEEDED, 'x'), DOWN],
    ['RpcError INTERNAL', () => new RpcError(Code.INTERNAL, 'x'), DOWN],
    ['RpcError UNAUTHENTICATED', () => new RpcError(Code.UNAUTHENTICATED, 'x'), REFUSED],
    ['RpcError NOT_FOUND', () => new RpcError(Code.NOT_FOUND, 'x'), REFUSED],
    [
      'RpcError PERMISSION_DENIED',
      () => new RpcError(Code.PERMISSION_DENIED, 'x'),
      'PERMISSION_DENIED: Permission denied',
    ],
    [
      "grpc-js's own error",
      () => Object.assign(new Error('x'), { code: 14, details: 'x', metadata: new Metadata() }),
      DOWN,
    ],
  ]
  for (const [what, error, answer] of thrown) {
    it(`a verifier that throws ${what}: ${answer}`, async () => {
      server = await startAuthServer({
        verify: (token) => {
          if (token === 'sync') throw error()
          return Promise.reject(error())
        },
      })
      expect(await answerTo(server, 'Bearer sync')).toBe(answer)
      expect(await answerTo(server, 'Bearer async')).toBe(answer)
      expect(server.calls).toHaveLength(0)
    })
  }

  for (const definite of [true, false]) {
    it(`a refusal is ${definite ? '' : 'not '}remembered if the verifier ${definite ? 'said so' : 'threw whatever it was'}`, async () => {
      let asked = 0
      server = await startAuthServer({
        verify: shareable(async () => {
          asked++
          throw definite ? new InvalidTokenError('x') : new Error('x')
        }),
      })
      for (let n = 0; n < 3; n++) expect(await answerTo(server, 'Bearer bad')).toBe(REFUSED)
      expect(asked).toBe(definite ? 1 : 3)
    })
  }

  const answered: [string, unknown, string][] = [
    ['null', null, REFUSED],
    ['undefined', undefined, REFUSED],
    ['false', false, REFUSED],
    ['true', true, 'INTERNAL: Internal error'],
    ['a text', 'alice', 'INTERNAL: Internal error'],
    ['no subject', { claims: {} }, 'INTERNAL: Internal error'],
    ['an empty subject', { subject: '' }, 'INTERNAL: Internal error'],
    ['a list', [alice], 'INTERNAL: Internal error'],
    ['an expiry that is a date', { subject: 'alice', expiresAt: new Date() }, 'INTERNAL: Internal error'],
    ['one that has expired', { subject: 'alice', expiresAt: 1 }, REFUSED],
  ]
  for (const [what, verdict, answer] of answered) {
    it(`a verifier that answers ${what}: ${answer}`, async () => {
      server = await startAuthServer({
        verify: (token) => (token === 'sync' ? verdict : Promise.resolve(verdict)) as Principal,
      })
      expect(await answerTo(server, 'Bearer sync')).toBe(answer)
      expect(await answerTo(server, 'Bearer async')).toBe(answer)
      expect(server.calls).toHaveLength(0)
    })
  }
})
