import { type Linked, LinkedList } from './linked-list.ts'

const waiting = new WeakMap<AbortSignal, LinkedList<Waiter>>()

class Waiter implements Linked<Waiter> {
  before: Waiter | undefined
  behind: Waiter | undefined
  readonly act: () => void

  constructor(act: () => void) {
    this.act = act
  }
}

/**
 * Does something when a signal aborts that has not done so yet. Returns how to forget it. However many calls share a signal,
 * it has one listener: Node 20 takes the eleventh for a leak and warns of it.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const waiters = waiting.get(signal) ?? listen(signal)
  const waiter = new Waiter(act)
  waiters.add(waiter)
  return () => {
    // Once only: by a second time, others may have begun to wait in another list.
    if (waiters.remove(waiter) && waiters.isEmpty) forget(signal)
  }
}

function listen(signal: AbortSignal): LinkedList<Waiter> {
  const waiters = new LinkedList<Waiter>()
  waiting.set(signal, waiters)
  signal.addEventListener('abort', aborted, { once: true })
  return waiters
}

function forget(signal: AbortSignal): void {
  waiting.delete(signal)
  signal.removeEventListener('abort', aborted)
}

function aborted(this: AbortSignal): void {
  const waiters = waiting.get(this)
  waiting.delete(this)
  for (let waiter = waiters?.shift(); waiter !== undefined; waiter = waiters?.shift()) {
    try {
      waiter.act()
    } catch (error) {
      // As among listeners: one that throws keeps no other from hearing.
      process.nextTick(() => {
        throw error
      })
    }
  }
}
