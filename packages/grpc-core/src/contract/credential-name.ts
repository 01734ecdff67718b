const NAMES = new Set(
  (
    'auth authorization cookie cookie2 cookies setcookie setcookie2 signature session sessionid sid jwt bearer dpop otp pwd ' +
    'clientassertion privatekey accesskey signingkey encryptionkey sshkey'
  ).split(' '),
)
const ENDINGS =
  /(?:authorization|apikeys?|secretkey|tokens?|secrets?|passwords?|passwd|passphrase|passcode|credentials?|privatekey)$/

/**
 * Whether a metadata key, or the name of a member, announces a credential: `authorization`, `x-api-key`, `api_key`,
 * `clientSecret`, `session-id`. Words may be written together, in camel case, or with `-`, `_` or `.` between them.
 */
export function isCredentialName(name: string): boolean {
  // A longer name is none of an application's own, and is not worth the time.
  if (name.length > 256) return true
  let known = asked.get(name)
  if (known === undefined) {
    known = announcesCredential(name)
    // A peer can make up names without end.
    if (asked.size >= MOST_NAMES) asked.clear()
    asked.set(name, known)
  }
  return known
}

/** Calls have the same few keys. */
const asked = new Map<string, boolean>()
const MOST_NAMES = 512

function announcesCredential(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[-_.\s]+/)
  return words.some((word, i) => isSecretWord(word) || (i > 0 && isSecretWord(`${words[i - 1]}${word}`)))
}

function isSecretWord(word: string): boolean {
  return NAMES.has(word) || ENDINGS.test(word)
}
