import { Metadata } from '@grpc/grpc-js'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { Call } from '../contract/call.ts'
import { CallCredentials, credentialScrubber, isCredentialName, rememberCredentials } from './credential-text.ts'

function callWith(headers: Readonly<Record<string, string | Buffer>>): Call {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
  return { metadata } as Call
}

const scrubberOf = (headers: Readonly<Record<string, string | Buffer>>) => credentialScrubber(callWith(headers))

const token = 'sk_live-51H8x/Qz+9"T~key'

describe('a credential of the call in a text', () => {
  const base64 = Buffer.from(`{"key":"${token}"}`).toString('base64')
  it.each([
    ['with its scheme', `bad header Bearer ${token}!`, 'bad header Bearer [redacted]!'],
    ['without its scheme', `unknown key ${token}`, 'unknown key [redacted]'],
    ['twice', `${token}${token} ${token}`, '[redacted] [redacted]'],
    ['as a prefix', `unknown key ${token.slice(0, 9)}…`, 'unknown key [redacted]…'],
    ['from its middle', `near "${token.slice(5, 14)}"`, 'near "[redacted]"'],
    [
      'URL-encoded',
      `GET /introspect?token=${encodeURIComponent(token)} failed`,
      'GET /introspect?token=[redacted] failed',
    ],
    ['URL-encoded twice', `?t=${encodeURIComponent(encodeURIComponent(token))}&u`, '?t=[redacted]&u'],
    [
      'with every character URL-encoded',
      `?t=${Buffer.from(token).toString('hex').replace(/../g, '%$&')}&`,
      '?t=[redacted]&',
    ],
    ['JSON-escaped', JSON.stringify({ token }), '{"token":"[redacted]"}'],
    ['JSON-escaped twice', JSON.stringify(JSON.stringify({ token })), '"{\\"token\\":\\"[redacted]\\"}"'],
    ['in capitals', `KEY ${token.toUpperCase()}`, 'KEY [redacted]'],
    ['in hexadecimal', `key ${Buffer.from(token).toString('hex')}`, 'key [redacted]'],
  ])('%s', (_how, text, scrubbed) => {
    expect(scrubberOf({ authorization: `Bearer ${token}` })(text)).toBe(scrubbed)
  })

  it('in base64 and base64url, alone and within longer data', () => {
    const scrub = scrubberOf({ 'x-api-key': token })
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${before}${token}after`).toString(encoding)
        const left = scrub(`data ${encoded} end`).replace('[redacted]', '')
        expect(left.length).toBeLessThan('data  end'.length + 14)
        expect(left).toMatch(/^data .* end$/)
      }
    }
    expect(scrub(base64)).toContain('[redacted]')
  })

  it.each([
    [
      'authorization',
      'Basic dXNlcjpodW50ZXIyLWh1bnRlcjI=',
      'wrong password hunter2-hunter2 of user',
      'wrong password [redacted] of user',
    ],
    ['proxy-authorization', 'Bearer abcdefgh-1', 'abcdefgh-1', '[redacted]'],
    ['cookie', 'theme=dark; session=5f3c9a17e2', 'no session 5f3c9a17e2', 'no session [redacted]'],
    ['authorization', 'Digest username="x", response="6629fae49393"', 'got 6629fae49393', 'got [redacted]'],
    ['x-api-key', 'one-key-1111, two-key-2222', 'bad "two-key-2222"', 'bad "[redacted]"'],
    ['x-api-key', 's3cr3t', 'no key "s3cr3t"', 'no key "[redacted]"'],
    ['x-api-key', 's3cr3t', 'no key s3cr3ts', 'no key s3cr3ts'],
    ['client-secret', 'correct horse battery', 'got "horse battery"', 'got "[redacted]"'],
    ['authorization', 'Bearer', 'write Bearer and a token', 'write Bearer and a token'],
  ])('%s: %s', (key, value, text, scrubbed) => {
    expect(scrubberOf({ [key]: value })(text)).toBe(scrubbed)
  })

  it('in binary metadata', () => {
    const bytes = Buffer.from('binary-secret-0001')
    const scrub = scrubberOf({ 'auth-token-bin': bytes })
    expect(scrub(`${bytes.toString()} ${bytes.toString('base64')} ${bytes.toString('hex')}`)).toBe(
      '[redacted] [redacted] [redacted]',
    )
  })

  it('as JSON.parse quotes it, decoded or not', () => {
    const decoded = '{"sub": oops-hidden-value}'
    const jwt = `eyJhbGciOiJub25lIn0.${Buffer.from(decoded).toString('base64url')}.c2ln`
    const scrub = scrubberOf({ authorization: `Bearer ${jwt}` })
    const quoting = (json: string): string => {
      try {
        return String(JSON.parse(json))
      } catch (error) {
        return (error as Error).message
      }
    }
    for (const text of [quoting(decoded), quoting(jwt), quoting(`[${jwt}]`)]) {
      expect(scrub(text)).toContain('[redacted]')
      expect(scrub(text)).not.toMatch(/hidden|hbGci/)
    }
  })

  it('leaves the claims of a token to be read, and every other text as it is', () => {
    const claims = Buffer.from('{"iss":"https://issuer.example.com"}').toString('base64url')
    const scrub = scrubberOf({ authorization: `Bearer eyJhbGciOiJub25lIn0.${claims}.c2ln`, 'x-tenant': 'tenant-0001' })
    for (const text of ['wrong issuer https://issuer.example.com', 'tenant-0001 is unknown', '', '100 % sure \\o/']) {
      expect(scrub(text)).toBe(text)
    }
  })

  it('that only the trailers hold, or that was remembered', () => {
    const trailers = new Metadata()
    trailers.set('set-cookie', 'sid=trailer-cookie-1; Path=/')
    const call = callWith({})
    rememberCredentials(call, ['Bearer remembered-1'])
    rememberCredentials(call, ['Bearer remembered-2'])
    expect(credentialScrubber(call, trailers, undefined)('trailer-cookie-1 remembered-1 remembered-2')).toBe(
      '[redacted] [redacted] [redacted]',
    )
  })

  it('any fragment of at least eight characters, of any credential', () => {
    const secret = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      minLength: 8,
      maxLength: 200,
    })
    fc.assert(
      fc.property(
        secret.filter((text) => !/^[\s,]|,/.test(text)),
        fc.nat(),
        fc.nat(),
        (value, start, length) => {
          const from = start % (value.length - 7)
          const fragment = value.slice(from, from + 8 + (length % 20))
          expect(scrubberOf({ 'x-api-key': value })(`«${fragment}»`)).toBe('«[redacted]»')
        },
      ),
    )
  })
})

describe('scrubbers of one call', () => {
  const text = 'alpha-one-1111 bravo-two-2222 carol-six-3333'

  it('each know the credentials of their time, though what one worked out serves the next', () => {
    const call = callWith({ authorization: 'Bearer alpha-one-1111' })
    const trailers = new Metadata()
    const credentials = new CallCredentials(call)
    const inner = credentials.scrubber([trailers])
    expect(inner(text)).toBe('[redacted] bravo-two-2222 carol-six-3333')
    expect(credentials.scrubber([trailers])(text)).toBe('[redacted] bravo-two-2222 carol-six-3333')
    call.metadata.set('x-api-key', 'bravo-two-2222')
    expect(credentials.scrubber([trailers])(text)).toBe('[redacted] [redacted] carol-six-3333')
    trailers.set('set-cookie', 'sid=carol-six-3333')
    expect(credentials.scrubber([trailers])(text)).toBe('[redacted] [redacted] [redacted]')
    call.metadata.set('authorization', 'Bearer carol-six-3333')
    expect(credentials.scrubber([])(text)).toBe('alpha-one-1111 [redacted] [redacted]')
    expect(inner(`once more: ${text}`)).toBe('once more: [redacted] bravo-two-2222 carol-six-3333')
  })

  it('see bytes that were changed in place', () => {
    const bytes = Buffer.from('alpha-one-1111')
    const credentials = new CallCredentials(callWith({ 'auth-bin': bytes }))
    expect(credentials.scrubber([])(text)).toBe('[redacted] bravo-two-2222 carol-six-3333')
    bytes.write('carol-six-3333')
    expect(credentials.scrubber([])(text)).toBe('alpha-one-1111 bravo-two-2222 [redacted]')
  })

  it('of a client, too, whose calls have different tokens in turn', () => {
    for (const [token, scrubbed] of [
      ['alpha-one-1111', '[redacted] bravo-two-2222 carol-six-3333'],
      ['alpha-one-1111', '[redacted] bravo-two-2222 carol-six-3333'],
      ['carol-six-3333', 'alpha-one-1111 bravo-two-2222 [redacted]'],
      ['alpha-one-1111', '[redacted] bravo-two-2222 carol-six-3333'],
    ] as const) {
      const call = { ...callWith({ authorization: `Bearer ${token}` }), side: 'client' } as Call
      expect(credentialScrubber(call)(text)).toBe(scrubbed)
    }
  })
})

describe('calls of a server', () => {
  const text = 'no account alpha-one-1111'
  const ofServer = (value: string): Call =>
    ({ ...callWith({ authorization: `Bearer ${value}` }), side: 'server' }) as Call

  it('each have their own credentials taken out of a text that was clean for the one before', () => {
    for (const [value, scrubbed] of [
      ['bravo-two-2222', text],
      ['bravo-two-2222', text],
      ['alpha-one-1111', 'no account [redacted]'],
      ['alpha-one-1111', 'no account [redacted]'],
      ['bravo-two-2222', text],
    ] as const) {
      expect(credentialScrubber(ofServer(value))(text)).toBe(scrubbed)
    }
  })

  it('that come with the same token and end with the same text have it searched once', () => {
    const encoded = vi.spyOn(Buffer.prototype, 'toString')
    try {
      const spellings = (value: string, shown: string): number => {
        encoded.mockClear()
        expect(credentialScrubber(ofServer(value))(shown)).toBe(shown)
        return encoded.mock.calls.filter(([encoding]) => encoding === 'base64url').length
      }
      expect(spellings('carol-six-3333', 'not for you')).toBe(3)
      expect(spellings('carol-six-3333', 'not for you')).toBe(0)
      expect(spellings('carol-six-3333', 'not for you either')).toBe(3)
      expect(spellings('david-ten-4444', 'not for you')).toBe(3)
      expect(spellings('carol-six-3333', 'not for you')).toBe(0)
    } finally {
      encoded.mockRestore()
    }
  })

  it('however many there were in between', () => {
    for (let i = 0; i < 1100; i++) credentialScrubber(ofServer(`token-number-${i}-of-many`))('harmless words')
    expect(credentialScrubber(ofServer('alpha-one-1111'))(text)).toBe('no account [redacted]')
  })
})

describe('what looks like a credential, of whatever call', () => {
  it.each([
    ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.', 'jwt [redacted]'],
    ['sent Authorization: Bearer 0123456789abcdef0123 to it', 'sent Authorization: Bearer [redacted] to it'],
    ['connect to redis://user:pa55@db:6379/0', 'connect to redis://[redacted]@db:6379/0'],
    ['key -----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY----- end', 'key [redacted] end'],
    ['key -----BEGIN PRIVATE KEY-----\\nMIIB', 'key [redacted]'],
    ['Bearer authentication-is-required', 'Bearer authentication-is-required'],
    ['https://example.com:443/a@b', 'https://example.com:443/a@b'],
  ])('%s', (text, scrubbed) => {
    expect(scrubberOf({})(text)).toBe(scrubbed)
  })
})

describe('bounds', () => {
  it('a long text is cut', () => {
    expect(scrubberOf({})('x '.repeat(20_000))).toHaveLength(16_385)
  })

  it.each([0, 1, 2])('a fragment is found wherever it stands in texts of any length, %i of four', (before) => {
    const secret = 'qwErty-zu/op+789_abcd'
    const scrub = scrubberOf({ 'x-api-key': secret })
    for (let length = 0; length < 1100; length += 13) {
      const around = '. '.repeat(length)
      const spelled = Buffer.from(`${'x'.repeat(before)}${secret}`).toString('base64')
      for (const shown of [secret, secret.slice(7, 15).toUpperCase(), spelled, Buffer.from(secret).toString('hex')]) {
        expect(scrub(`${around}${shown}${around}`)).toContain('[redacted]')
      }
    }
  })

  it('a call with more credentials than headers can hold has no text at all', () => {
    expect(scrubberOf({ authorization: 'Bearer '.padEnd(200_000, '0123456789abcdef') })('harmless')).toBe('[redacted]')
  })

  it('metadata are not looked at before there is a text', () => {
    const call = {
      get metadata(): Metadata {
        throw new Error('looked at')
      },
    } as Call
    const scrub = credentialScrubber(call)
    expect(() => scrub('text')).toThrow('looked at')
  })
})

describe('isCredentialName', () => {
  it.each(
    (
      'authorization proxy-authorization cookie set-cookie x-api-key apikey api_key apiKey API_KEY private-key private_key privateKey ' +
      'passphrase secret client_secret clientSecret x-auth-token accessToken refresh_tokens session-id sessionId x.password passwd ' +
      'db_pwd x-jwt-assertion auth-bin dpop signing.key ssh-key-passphrase'
    ).split(' '),
  )('%s is one', (name) => expect(isCredentialName(name)).toBe(true))

  it.each(
    'x-request-id user-agent author x-keyboard key x-key-bin primaryKey traceparent tokenizer grpc-timeout'.split(' '),
  )('%s is none', (name) => expect(isCredentialName(name)).toBe(false))
})
