import { MOST_PARTS } from './credential-values.ts'
import { hasEscapes, unescaped } from './escapes.ts'
import { Glance, LONGEST_GLANCE } from './glance.ts'
import { MARK, RUN, Runs } from './runs.ts'

/** Shorter values than this stand in ordinary words. */
const SHORTEST = 3
/** Characters of all spellings, beyond what HTTP/2 header limits let through. A call with more has no text recorded at all. */
const MOST_SPELLED = 131_072

/**
 * Takes secrets out of texts, in every spelling. Most texts show none, which a glance finds out for a tenth of the work. A text that may
 * show one is compared with every run of eight characters that some spelling of some secret has.
 */
export class Secrets {
  readonly #secrets: readonly string[]
  readonly #tooMany: boolean
  readonly #shorts: RegExp | undefined
  // Made by the first glance that needs them.
  #spellings: readonly string[] | undefined
  #hexadecimal: readonly string[] | undefined
  #runs: Runs | undefined

  constructor(values: readonly string[]) {
    this.#secrets = [...new Set(values)]
    this.#tooMany = this.#secrets.reduce((sum, secret) => sum + spelledLength(secret), 0) > MOST_SPELLED
    const shorts = this.#tooMany ? [] : shortsOf(this.#secrets)
    this.#shorts = shorts.length === 0 ? undefined : wholeWords(shorts)
  }

  scrub(text: string): string {
    if (this.#tooMany) return MARK
    const scrubbed = this.#mayShowRun(text) ? this.#allRuns().without(text) : text
    return this.#shorts === undefined ? scrubbed : scrubbed.replace(this.#shorts, MARK)
  }

  #mayShowRun(text: string): boolean {
    if (text.length < RUN || this.#secrets.length === 0) return false
    if (text.length > LONGEST_GLANCE || hasEscapes(text)) return true
    const glance = new Glance(text)
    this.#spellings ??= this.#secrets.flatMap((secret) => [...plainSpellings(secret), ...base64Spellings(secret)])
    if (glance.mayShareRun(this.#spellings)) return true
    if (!HEXADECIMAL.test(text)) return false
    this.#hexadecimal ??= this.#secrets.map(hexadecimal)
    return glance.mayShareRun(this.#hexadecimal)
  }

  #allRuns(): Runs {
    this.#runs ??= new Runs(this.#secrets.flatMap(spellingsOf))
    return this.#runs
  }
}

/** Only a text with such a run can show the hexadecimal spelling of a secret. */
const HEXADECIMAL = /[0-9a-f]{8}/i

/** A secret as it is and with its escapes resolved, its bytes in hexadecimal and in base64. */
function spellingsOf(secret: string): string[] {
  return [...plainSpellings(secret), hexadecimal(secret), ...base64Spellings(secret)]
}

function hexadecimal(secret: string): string {
  return Buffer.from(secret, 'latin1').toString('hex')
}

/** How many characters these are, about. */
function spelledLength({ length }: string): number {
  return 8 * length
}

function plainSpellings(secret: string): string[] {
  const plain = unescaped(secret)?.plain
  return plain === undefined ? [secret] : [secret, plain]
}

/** At each of the three places that bytes can have in longer data. base64url leaves the padding out. */
function base64Spellings(secret: string): string[] {
  const shifted = Buffer.from(`\0\0${secret}`, 'latin1')
  return [0, 1, 2].map((before) => {
    const base64 = shifted.toString('base64url', 2 - before)
    // The first and the last characters also depend on what stands next to the secret.
    return base64.slice(before === 0 ? 0 : before + 1, (before + secret.length) % 3 === 0 ? undefined : -1)
  })
}

/** The spellings that are too short for a run. */
function shortsOf(secrets: readonly string[]): string[] {
  const shorts = new Set<string>()
  for (const secret of secrets) {
    // Of a longer one, only what is left without its escapes may be short.
    const [base64 = ''] = secret.length < RUN ? base64Spellings(secret) : []
    const hex = secret.length < RUN ? hexadecimal(secret) : ''
    for (const spelling of [...plainSpellings(secret), hex, base64]) {
      if (spelling.length >= SHORTEST && spelling.length < RUN) shorts.add(spelling)
    }
  }
  return [...shorts].slice(0, MOST_PARTS)
}

function wholeWords(texts: readonly string[]): RegExp {
  const alternatives = texts.map((text) => text.replace(/[^A-Za-z0-9]/g, '\\$&')).join('|')
  return new RegExp(`(?<![A-Za-z0-9])(?:${alternatives})(?![A-Za-z0-9])`, 'gi')
}
