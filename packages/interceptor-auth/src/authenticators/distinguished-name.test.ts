import { X509Certificate } from 'node:crypto'
import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { echo, patterns, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { createAuthority, type Names } from '../../test/certificates.ts'
import { mtls, policy, principalVar, serverAuth } from '../index.ts'
import { distinguishedName } from './distinguished-name.ts'

let server: TestServer | undefined
afterEach(() => server?.stop())

const authority = createAuthority()
const machine = authority.issue({ commonName: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })

const O = '2.5.4.10'
const OU = '2.5.4.11'
const CN = '2.5.4.3'

const nameOf = (names: Names): string => distinguishedName(new X509Certificate(authority.issue(names).cert).raw)
const ordered = (...parts: [string, string][]): Names => ({ parts: parts.map((part) => [part]) })

describe('a distinguished name', () => {
  const cases: [string, Names, string][] = [
    ['is written most specific first', ordered([O, 'Example'], [CN, 'shop']), 'CN=shop,O=Example'],
    ['keeps the order the certificate has', ordered([CN, 'shop'], [O, 'Example']), 'O=Example,CN=shop'],
    ['keeps the order of parts of one kind', ordered([OU, 'a'], [OU, 'b'], [CN, 'x']), 'CN=x,OU=b,OU=a'],
    ['with others between them', ordered([OU, 'a'], [CN, 'x'], [OU, 'b']), 'OU=b,CN=x,OU=a'],
    ['with others around them', ordered([CN, 'x'], [OU, 'a'], [OU, 'b']), 'OU=b,OU=a,CN=x'],
    [
      'keeps several names of one part together',
      {
        parts: [
          [[O, 'a']],
          [
            [CN, 'x'],
            [OU, 'b'],
          ],
        ],
      },
      'CN=x+OU=b,O=a',
    ],
    ['escapes a separator', ordered([CN, 'x,OU=b']), 'CN=x\\,OU\\=b'],
    ['escapes a plus', ordered([CN, 'x + OU=b']), 'CN=x \\+ OU\\=b'],
    ['escapes a line break', ordered([CN, 'x\nOU=b']), 'CN=x\\0AOU\\=b'],
    ['escapes backslashes and quotes', ordered([CN, 'a\\,"b"']), 'CN=a\\\\\\,\\"b\\"'],
    ['escapes spaces at both ends', ordered([CN, ' a ']), 'CN=\\ a\\ '],
    ['keeps other scripts', ordered([CN, 'Zoë Ω']), 'CN=Zoë Ω'],
    ['names what has no short name by number', ordered(['1.2.3.4.5', 'x']), '1.2.3.4.5=x'],
    ['is empty without parts', { parts: [] }, ''],
  ]
  for (const [what, names, expected] of cases) {
    it(`${what}: ${expected}`, () => expect(nameOf(names)).toBe(expected))
  }

  it('is the same only for the same names in the same order', () => {
    const certificates = [
      ordered([OU, 'a'], [CN, 'x'], [OU, 'b']),
      ordered([CN, 'x'], [OU, 'a'], [OU, 'b']),
      ordered([OU, 'a'], [OU, 'b'], [CN, 'x']),
      ordered([OU, 'b'], [OU, 'a'], [CN, 'x']),
      {
        parts: [
          [[OU, 'a']],
          [
            [CN, 'x'],
            [OU, 'b'],
          ],
        ],
      } satisfies Names,
    ]
    expect(new Set(certificates.map(nameOf)).size).toBe(certificates.length)
  })
})

describe('mtls by subject', () => {
  it.each(patterns)('does not take one order of names for another: %s', async (pattern) => {
    for (const stock of [false, true]) {
      const subjects: string[] = []
      const admins = policy({ allow: [{ name: 'admins', principals: 'CN=x,OU=b,OU=a', authenticators: 'mtls' }] })
      const codeOf = async (names: Names) => {
        const { cert, key } = authority.issue(names)
        await server?.stop()
        server = await startTestServer({
          stock,
          interceptors: [serverAuth({ verify: mtls({ identity: 'subject' }), authorize: admins })],
          credentials: ServerCredentials.createSsl(
            authority.cert,
            [{ cert_chain: machine.cert, private_key: machine.key }],
            true,
          ),
          channelCredentials: credentials.createSsl(authority.cert, key, cert),
          behaviour: (rpc) => {
            subjects.push(principalVar.get().subject, String(principalVar.get().claims?.subject))
            return echo(rpc)
          },
        })
        return Code[(await runRpc(server.client(), pattern)).status?.code ?? -1]
      }
      expect(await codeOf(ordered([OU, 'a'], [OU, 'b'], [CN, 'x']))).toBe('OK')
      expect(await codeOf(ordered([OU, 'b'], [OU, 'a'], [CN, 'x']))).toBe('PERMISSION_DENIED')
      expect(await codeOf(ordered([OU, 'a'], [CN, 'x'], [OU, 'b']))).toBe('PERMISSION_DENIED')
      expect(subjects).toEqual(['CN=x,OU=b,OU=a', 'CN=x,OU=b,OU=a'])
    }
  })
})
