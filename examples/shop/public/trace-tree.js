/** Whether a span is of one attempt of a call. */
export const isAttempt = (name) => name.startsWith('Attempt.')

/** What a list says about a trace. */
export function describe({ id, spans }) {
  const root = spans.find(({ parentId }) => parentId === undefined) ?? spans[0]
  const startMs = Math.min(...spans.map((span) => span.startMs))
  const endMs = Math.max(...spans.map((span) => span.startMs + span.durationMs))
  const attempts = new Map()
  for (const { name, parentId } of spans) {
    if (isAttempt(name)) attempts.set(parentId, (attempts.get(parentId) ?? 0) + 1)
  }
  return {
    id,
    spans,
    root,
    startMs,
    durationMs: endMs - startMs,
    failed: root.code !== 'OK',
    /** How often calls were tried again. The attempts of a call have spans only where there are several. */
    retries: [...attempts.values()].reduce((sum, n) => sum + n - 1, 0),
    /** The one who asked has the answer, so the spans of those who were asked are there, too. */
    complete: root.parentId === undefined && root.place === 'outside',
    worthShowing: !/Operations|Health/.test(root.name),
  }
}

/** Spans in the order of a waterfall: each after the one it belongs to, by the time they began. */
export function treeOf(spans) {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const children = new Map()
  for (const span of [...spans].sort((a, b) => a.startMs - b.startMs)) {
    const parent = known.has(span.parentId) ? span.parentId : undefined
    children.set(parent, [...(children.get(parent) ?? []), span])
  }
  const walk = (parent, depth) =>
    (children.get(parent) ?? []).flatMap((span) => [{ span, depth }, ...walk(span.spanId, depth + 1)])
  return walk(undefined, 0)
}
