const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Does something when a signal aborts that has not done so yet. Returns how to forget it. However many calls share a signal,
 * it has one listener: Node 20 takes the eleventh for a leak and warns of it.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const acts = waiting.get(signal) ?? listen(signal)
  acts.add(act)
  return () => {
    // Once only: by a second time, others may have begun to wait in another set.
    if (acts.delete(act) && acts.size === 0) forget(signal)
  }
}

function listen(signal: AbortSignal): Set<() => void> {
  const acts = new Set<() => void>()
  waiting.set(signal, acts)
  signal.addEventListener('abort', aborted, { once: true })
  return acts
}

function forget(signal: AbortSignal): void {
  waiting.delete(signal)
  signal.removeEventListener('abort', aborted)
}

function aborted(this: AbortSignal): void {
  const acts = waiting.get(this) ?? []
  waiting.delete(this)
  for (const act of acts) {
    try {
      act()
    } catch (error) {
      // As among listeners: one that throws keeps no other from hearing.
      process.nextTick(() => {
        throw error
      })
    }
  }
}
