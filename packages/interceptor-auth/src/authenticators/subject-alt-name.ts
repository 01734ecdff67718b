/** The names in a certificate that identify who presents it. */
export interface AltNames {
  readonly uri: readonly string[]
  readonly dns: readonly string[]
}

/**
 * Reads the `subjectaltname` text of Node's certificates, such as `DNS:a.example, URI:spiffe://x/y`. Node puts a name
 * in JSON quotes when it holds a character that could pass for a separator (CVE-2021-44532); anything that fits neither
 * form makes the whole text unusable.
 *
 * @returns undefined if the text is not understood
 */
export function parseAltNames(text: string | undefined): AltNames | undefined {
  const uri: string[] = []
  const dns: string[] = []
  let rest = text ?? ''
  while (rest !== '') {
    const entry = /^([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/.exec(rest)
    if (entry === null) return undefined
    const [all, kind, value = ''] = entry
    rest = rest.slice(all.length)
    if (kind !== 'URI' && kind !== 'DNS') continue
    const name = value.startsWith('"') ? unquoted(value) : value
    if (name === undefined) return undefined
    if (kind === 'URI') uri.push(name)
    else dns.push(name)
  }
  return { uri, dns }
}

function unquoted(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
