import type { Script, Step } from './script.ts'

/** Scripts that are simpler than this one by one thing each, the boldest first. */
export function* simpler(script: Script): Generator<Script> {
  const { steps, metadata, headers, trailers, options, request } = script
  for (let size = steps.length >> 1; size > 1; size >>= 1) {
    for (let at = 0; at + size <= steps.length; at += size) yield { ...script, steps: without(steps, at, size) }
  }
  if (metadata.length > 0) yield { ...script, metadata: [] }
  if (headers.length > 0) yield { ...script, headers: [] }
  if (trailers.length > 0) yield { ...script, trailers: [] }
  for (const name of Object.keys(options)) {
    const { [name as keyof typeof options]: _removed, ...rest } = options
    yield { ...script, options: rest }
  }
  for (let at = 0; at < steps.length; at++) yield { ...script, steps: without(steps, at, 1) }
  if (request !== undefined && request.size > 1 && request.fault === undefined)
    yield { ...script, request: { size: 1 } }
  for (const [at, step] of steps.entries()) {
    if ('size' in step && (step.size ?? 0) > 1) yield { ...script, steps: replaced(steps, at, { ...step, size: 1 }) }
    if ('uncompressed' in step) {
      const { uncompressed: _removed, ...rest } = step
      yield { ...script, steps: replaced(steps, at, rest) }
    }
  }
  for (const key of ['metadata', 'headers', 'trailers'] as const) {
    for (let at = 0; at < script[key].length; at++) yield { ...script, [key]: without(script[key], at, 1) }
  }
}

/** The simplest script that still fails, found within `ms`. */
export async function shrink(script: Script, fails: (script: Script) => Promise<boolean>, ms: number): Promise<Script> {
  const end = performance.now() + ms
  let best = script
  for (let found = true; found && performance.now() < end; ) {
    found = false
    for (const candidate of simpler(best)) {
      if (performance.now() > end) break
      if (!(await fails(candidate))) continue
      best = candidate
      found = true
      break
    }
  }
  return best
}

const without = <T>(list: readonly T[], at: number, count: number): T[] => [
  ...list.slice(0, at),
  ...list.slice(at + count),
]

const replaced = (steps: readonly Step[], at: number, step: Step): Step[] =>
  steps.map((old, i) => (i === at ? step : old))
