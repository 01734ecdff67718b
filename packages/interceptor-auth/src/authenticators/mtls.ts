import type { PeerCertificate } from 'node:tls'
import type { ServerCall } from '@grpc-stack/grpc-core'
import { func, LruMap, type OptionTable, oneOf, quoted, readOptions, text } from '@grpc-stack/grpc-core/authoring'
import { yesOrNo } from '../at-once.ts'
import type { Authenticator, Verdict } from '../contract/authenticator.ts'
import { InvalidTokenError } from '../contract/verifier-errors.ts'
import { oneOrMore } from '../option-kinds.ts'
import { distinguishedName } from './distinguished-name.ts'
import { type AltNames, parseAltNames } from './subject-alt-name.ts'

/** Which name of a client certificate says who it is. */
export type CertificateIdentity = 'uri' | 'dns' | 'subject'

/** Options of `mtls`. */
export interface MtlsOptions {
  /**
   * The names that identify, in order of preference: the first kind the certificate has is taken. Default: URI, then DNS,
   * then subject, as in gRFC A43. Name only those your authority vouches for.
   */
  readonly identity?: CertificateIdentity | readonly CertificateIdentity[]
  /**
   * Whether this identity is known here, such as `(id) => id.startsWith('spiffe://example.org/')`. Anything but true and false, such as
   * a promise, ends the call with INTERNAL. Default: all are.
   */
  readonly accept?: (identity: string) => boolean
  /** Name of the authenticator, for policy rules, principals and `onDecision`. Default: `mtls`. */
  readonly name?: string
}

const table = {
  identity: oneOrMore(oneOf('uri', 'dns', 'subject'), '"uri", "dns", "subject" or a list of them')
    .default(['uri', 'dns', 'subject'])
    .refusingUndefined('leave it out for all of them'),
  accept: func<NonNullable<MtlsOptions['accept']>>()
    .optional()
    .refusingUndefined('leave it out to accept every certificate that TLS found valid'),
  name: text().default('mtls'),
} satisfies OptionTable<MtlsOptions>

/**
 * Accepts calls over connections with a client certificate that TLS found valid; the server must ask for one
 * (`ServerCredentials.createSsl(ca, keys, true)`). The subject of the principal is the name; its claims are all names and
 * the fingerprint.
 *
 * A certificate with several URIs has no identity by URI (SPIFFE X.509-SVID §2); of several DNS names the first counts.
 *
 * @throws TypeError for a wrong option.
 */
export function mtls(...given: [options?: MtlsOptions]): Authenticator {
  // `mtls(undefined)` is options that were not found, not options left out.
  const options = given.length === 0 ? {} : given[0]
  const { identity: kinds, accept, name } = readOptions('mtls', options, table)
  // Each look at the certificate makes Node decode it anew.
  const seen = new WeakMap<ServerCall, PeerCertificate>()
  const subjects = new LruMap<string, string>(SUBJECTS)
  return {
    name,
    // The fingerprint stands for the certificate; grpc-js shows one only if it was verified (server-interceptors.ts).
    credential: (call) => {
      const certificate = certificateOf(call)
      if (certificate !== undefined) seen.set(call, certificate)
      return certificate?.fingerprint256
    },
    verify: (_fingerprint, call) => {
      const certificate = seen.get(call)
      return certificate && principalOf(certificate, subjectOf(certificate, subjects), kinds, accept)
    },
    shareable: false,
  }
}

// Reading a subject takes some 30 µs, so those of the last certificates are kept: a few 100 kB at most.
const SUBJECTS = 1000

function subjectOf({ fingerprint256, raw }: PeerCertificate, known: LruMap<string, string>): string {
  let subject = known.get(fingerprint256)
  if (subject === undefined) {
    subject = distinguishedName(raw)
    known.set(fingerprint256, subject)
  }
  return subject
}

function certificateOf(call: ServerCall): PeerCertificate | undefined {
  const { transportSecurityType, sslPeerCertificate } = call.authContext
  return transportSecurityType === 'ssl' ? sslPeerCertificate : undefined
}

function principalOf(
  certificate: PeerCertificate,
  subject: string,
  kinds: readonly CertificateIdentity[],
  accept: MtlsOptions['accept'],
): Verdict {
  const names = parseAltNames(certificate.subjectaltname)
  if (names === undefined) {
    throw new InvalidTokenError(`mtls: cannot read the subject alternative name ${quoted(certificate.subjectaltname)}`)
  }
  const identity = kinds.map((kind) => nameOf(kind, names, subject)).find((name) => name !== undefined)
  if (!identity) return null
  if (accept !== undefined && !yesOrNo(accept(identity), 'mtls: option "accept"')) return null
  const expiresAt = Date.parse(certificate.valid_to)
  return {
    subject: identity,
    claims: { uri: names.uri, dns: names.dns, subject, fingerprint256: certificate.fingerprint256 },
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  }
}

/** Undefined when the certificate has no name of this kind, empty when it has too many to mean one. */
function nameOf(kind: CertificateIdentity, names: AltNames, subject: string): string | undefined {
  if (kind === 'subject') return subject === '' ? undefined : subject
  if (kind === 'uri' && names.uri.length > 1) return ''
  return names[kind][0]
}
