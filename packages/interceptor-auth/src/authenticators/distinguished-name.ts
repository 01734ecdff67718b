import { X509Certificate } from 'node:crypto'

/**
 * The subject of a certificate as a distinguished name by RFC 4514: most specific first, special characters escaped, several
 * names of one part joined by a plus. Empty if the certificate has none.
 *
 * Read from the certificate itself: the object that `getPeerCertificate()` gives collects names of one kind under one key,
 * so that subjects which differ in their order, and in which names belong together, look alike.
 *
 * @param raw the certificate in DER
 */
export function distinguishedName(raw: Uint8Array): string {
  // Node writes one part a line, its names joined by ` + `, values escaped by RFC 2253: neither separator occurs in a value.
  const { subject } = new X509Certificate(raw) as { subject: string | undefined }
  if (subject === undefined || subject === '') return ''
  const parts = subject.split('\n').map((part) => part.split(' + ').map(withEqualsEscaped).join('+'))
  return parts.reverse().join(',')
}

/** RFC 4514 leaves it open whether an equals sign in a value is escaped; escaped, it never looks like another name. */
function withEqualsEscaped(name: string): string {
  const end = name.indexOf('=') + 1
  return name.slice(0, end) + name.slice(end).replaceAll('=', '\\=')
}
