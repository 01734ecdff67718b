/**
 * Which values of a message must not be seen, by path: `password`, `user.password`, `*.password` (one level down, under
 * any name), `**.password` (at any depth, the top included). A path goes through lists and maps as if their elements stood
 * in their place's stead: `cards.number` is the number of every card; `cards[*].number` says the same.
 */
export class Redaction {
  readonly #paths: readonly (readonly string[])[]

  /** @throws TypeError for a malformed path, naming it after `where`. */
  constructor(paths: readonly string[], where: string) {
    this.#paths = paths.map((path, i) => parse(path, `${where}[${i}]`))
  }

  /** The state at the top of a message. */
  start(): RedactionState {
    return this.#paths.map((segments) => ({ segments, next: 0 }))
  }
}

/** The paths that are still alive at some place in a message. */
export type RedactionState = readonly { readonly segments: readonly string[]; readonly next: number }[]

/** What is below a member, or `redacted` if the member itself must not be seen. */
export function enterMember(state: RedactionState, name: string): RedactionState | 'redacted' {
  if (state.length === 0) return state
  const below: { segments: readonly string[]; next: number }[] = []
  for (const { segments, next } of state) {
    // `**` may stand for this level and stay, or for none.
    const anywhere = segments[next] === '**'
    if (anywhere) below.push({ segments, next })
    const at = anywhere ? next + 1 : next
    const segment = segments[at]
    if (segment !== '*' && segment !== name) continue
    if (at + 1 === segments.length) return 'redacted'
    below.push({ segments, next: at + 1 })
  }
  return below
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
