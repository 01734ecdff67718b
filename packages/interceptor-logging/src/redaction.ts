/**
 * Which values of a message must not be seen, by path: `password`, `user.password`, `*.password` (one level down, under
 * any name), `**.password` (at any depth, the top included). A path goes through lists and maps as if their elements stood
 * in their place's stead: `cards.number` is the number of every card; `cards[*].number` says the same. A name also stands for
 * its other spellings: `api_key` for `apiKey` and `api-key`, and the other way round.
 */
export class Redaction {
  readonly #start: RedactionState

  /** @throws TypeError for a malformed path, naming it after `where`. */
  constructor(paths: readonly string[], where: string) {
    this.#start = paths.map((path, i) => positionsOf(parse(path, `${where}[${i}]`)))
  }

  /** The state at the top of a message. */
  start(): RedactionState {
    return this.#start
  }
}

/** A segment of a path that the name of a member has to match. There is one object for each segment of each path. */
interface Position {
  readonly segment: string
  readonly next: Position | undefined
}

/**
 * The positions that are still alive at some place in a message. Each is in it once, so that it never holds more than the
 * paths have segments, however deep the place is.
 */
export type RedactionState = readonly Position[]

/** What is below a member, or `redacted` if the member itself must not be seen. */
export function enterMember(state: RedactionState, name: string): RedactionState | 'redacted' {
  if (state.length === 0) return state
  const spelling = spellingOf(name)
  const below = new Set<Position>()
  for (const position of state) {
    let at: Position | undefined = position
    // `**` may stand for this level and stay, or for none.
    for (; at?.segment === '**'; at = at.next) below.add(at)
    if (at === undefined || (at.segment !== '*' && at.segment !== spelling)) continue
    if (at.next === undefined) return 'redacted'
    below.add(at.next)
  }
  return [...below]
}

/**
 * What is below an entry of a map, which is an element, as of a list, and a member by its key.
 */
export function enterEntry(state: RedactionState, key: string): RedactionState | 'redacted' {
  const below = enterMember(state, key)
  return below === 'redacted' ? below : eitherOf(state, below)
}

/** What is below a member that is known by two names. */
export function enterMemberOfEither(state: RedactionState, one: string, other: string): RedactionState | 'redacted' {
  const [a, b] = [enterMember(state, one), enterMember(state, other)]
  return a === 'redacted' || b === 'redacted' ? 'redacted' : eitherOf(a, b)
}

function eitherOf(a: RedactionState, b: RedactionState): RedactionState {
  return a.length === 0 ? b : b.length === 0 ? a : [...new Set([...a, ...b])]
}

/** Generators turn `api_key` into `apiKey`, and `line_1` into `line1`. */
function spellingOf(name: string): string {
  return name.replace(/[-_]/g, '').toLowerCase() || name
}

function positionsOf(segments: readonly string[]): Position {
  let next: Position | undefined
  for (const segment of segments.toReversed()) next = { segment: spellingOf(segment), next }
  // A path has at least one segment.
  return next as Position
}

function parse(path: unknown, where: string): readonly string[] {
  const malformed = (why: string) =>
    new TypeError(`${where}: ${why}; write "user.password", "*.password" or "**.password", got ${JSON.stringify(path)}`)
  if (typeof path !== 'string' || path === '') throw malformed('a path is a non-empty string')
  const segments = path.replace(/\[\*\]/g, '').split('.')
  if (segments.includes('')) throw malformed('a path has a name between dots')
  if (segments.some((segment) => /[[\]]/.test(segment))) throw malformed('a path goes to every element of a list')
  if (segments.at(-1) === '**') throw malformed('a path ends in a name')
  return segments
}
