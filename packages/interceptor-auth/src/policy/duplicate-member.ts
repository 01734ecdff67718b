/**
 * A member that stands twice in one object of a JSON text, of which `JSON.parse` keeps the last and says nothing.
 * @param json a text that `JSON.parse` has read
 */
export function duplicateMember(json: string): string | undefined {
  // The members of the objects and lists around; a list has none.
  const around: Set<string>[] = []
  for (const [token, colon] of json.matchAll(TOKENS)) {
    if (token === '{' || token === '[') around.push(new Set())
    else if (token === '}' || token === ']') around.pop()
    else if (colon !== undefined) {
      const name = JSON.parse(token.slice(0, -colon.length)) as string // the text is JSON, so a string before a colon is
      const members = around.at(-1)
      if (members?.has(name)) return name
      members?.add(name)
    }
  }
  return undefined
}

/** Strings, with the colon behind if they name a member, and brackets. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g
