import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate and its key, as TLS takes them. */
export interface Certified {
  readonly cert: Buffer
  readonly key: Buffer
}

/** What a certificate says. */
export interface Names {
  readonly commonName?: string
  readonly organization?: string
  /** The whole subject instead, in order: each part with one name, or with several in one set. */
  readonly parts?: readonly (readonly (readonly [oid: string, value: string])[])[]
  readonly dns?: readonly string[]
  readonly uri?: readonly string[]
  readonly ip?: readonly string[]
  /** Epoch milliseconds. Default: within the hour. */
  readonly notAfter?: number
}

/** A certificate authority that lives as long as the test. */
export interface Authority {
  readonly cert: Buffer
  issue(names: Names): Certified
}

// DER, X.690: a tag, a length, the contents.
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

const sequence = (...contents: readonly Uint8Array[]) => der(0x30, ...contents)
const set = (...contents: readonly Uint8Array[]) => der(0x31, ...contents)
const explicit = (n: number, ...contents: readonly Uint8Array[]) => der(0xa0 | n, ...contents)
const octets = (contents: Uint8Array) => der(0x04, contents)
const bits = (contents: Uint8Array) => der(0x03, Buffer.from([0]), contents)
const utf8 = (text: string) => der(0x0c, Buffer.from(text))
const integer = (bytes: Uint8Array) =>
  der(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
const TRUE = der(0x01, Buffer.from([0xff]))

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const base128 = (n: number): number[] => {
    const digits = [n & 0x7f]
    for (let left = n >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80)
    return digits
  }
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function time(epochMs: number): Buffer {
  const iso = new Date(epochMs).toISOString()
  return der(0x18, Buffer.from(`${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`))
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))

function name({ commonName, organization, parts }: Names): Buffer {
  if (parts !== undefined) {
    return sequence(...parts.map((names) => set(...names.map(([type, value]) => sequence(oid(type), utf8(value))))))
  }
  const part = (type: string, value: string | undefined) =>
    value === undefined ? [] : [set(sequence(oid(type), utf8(value)))]
  return sequence(...part('2.5.4.10', organization), ...part('2.5.4.3', commonName))
}

function altNames({ dns = [], uri = [], ip = [] }: Names): Buffer[] {
  const names = [
    ...dns.map((text) => der(0x82, Buffer.from(text))),
    ...uri.map((text) => der(0x86, Buffer.from(text))),
    ...ip.map((text) => der(0x87, Buffer.from(text.split('.').map(Number)))),
  ]
  return names.length === 0 ? [] : [sequence(oid('2.5.29.17'), octets(sequence(...names)))]
}

function certificate(
  subject: Names,
  key: KeyObject,
  issuer: { names: Names; key: KeyObject },
  isAuthority: boolean,
): Buffer {
  const now = Date.now()
  const publicKey = key.export({ type: 'spki', format: 'der' })
  const keyId = createHash('sha1').update(publicKey).digest()
  const extensions = [
    sequence(oid('2.5.29.19'), TRUE, octets(isAuthority ? sequence(TRUE) : sequence())),
    sequence(oid('2.5.29.14'), octets(octets(keyId))),
    ...altNames(subject),
  ]
  const content = sequence(
    explicit(0, integer(Buffer.from([2]))),
    // Not with leading zeros, which DER forbids.
    integer(Buffer.concat([Buffer.from([1]), randomBytes(7)])),
    ECDSA_SHA256,
    name(issuer.names),
    sequence(time(now - 3_600_000), time(subject.notAfter ?? now + 3_600_000)),
    name(subject),
    publicKey,
    explicit(3, sequence(...extensions)),
  )
  const signed = sequence(content, ECDSA_SHA256, bits(sign('sha256', content, issuer.key)))
  const base64 = signed.toString('base64').match(/.{1,64}/g) ?? []
  return Buffer.from(`-----BEGIN CERTIFICATE-----\n${base64.join('\n')}\n-----END CERTIFICATE-----\n`)
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** Makes an authority. No tool is needed: the certificates are written here, byte by byte. */
export function createAuthority(names: Names = { commonName: 'Test Authority' }): Authority {
  const { publicKey, privateKey } = newKeys()
  const issuer = { names, key: privateKey }
  return {
    cert: certificate(names, publicKey, issuer, true),
    issue: (subject) => {
      const keys = newKeys()
      return {
        cert: certificate(subject, keys.publicKey, issuer, false),
        key: Buffer.from(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })),
      }
    },
  }
}
