import { describe, expect, it } from 'vitest'
import { LONGEST_TIMEOUT_MS, systemMonotonicClock } from './clock.ts'
import { sleep } from './sleep.ts'

/** Timers that are run by hand, in the order they were set. */
function timers() {
  const waiting: { readonly ms: number; readonly run: () => void; gone: boolean }[] = []
  return {
    waiting,
    setTimeout(run: () => void, ms: number) {
      const timer = { ms, run, gone: false }
      waiting.push(timer)
      return timer
    },
    clearTimeout(timer: unknown) {
      ;(timer as { gone: boolean }).gone = true
    },
  }
}

const settled = async (promise: Promise<void>): Promise<boolean> => {
  let done = false
  void promise.then(() => {
    done = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return done
}

describe('sleep', () => {
  it('ends with its timer', async () => {
    const clock = timers()
    const slept = sleep(5, clock)
    expect(await settled(slept)).toBe(false)
    expect(clock.waiting.map(({ ms }) => ms)).toEqual([5])
    clock.waiting[0]?.run()
    expect(await settled(slept)).toBe(true)
  })

  it('ends at once when the signal aborts, and leaves no timer and no listener', async () => {
    const clock = timers()
    const controller = new AbortController()
    const slept = sleep(5, clock, controller.signal)
    controller.abort()
    expect(await settled(slept)).toBe(true)
    expect(clock.waiting[0]?.gone).toBe(true)
  })

  it('takes no time where there is nothing to wait for', async () => {
    const clock = timers()
    await sleep(0, clock)
    await sleep(5, clock, AbortSignal.abort())
    expect(clock.waiting).toEqual([])
  })

  it('waits longer than a timer of Node can', async () => {
    const clock = timers()
    const slept = sleep(LONGEST_TIMEOUT_MS + 5, clock)
    clock.waiting[0]?.run()
    expect(await settled(slept)).toBe(false)
    expect(clock.waiting.map(({ ms }) => ms)).toEqual([LONGEST_TIMEOUT_MS, 5])
    clock.waiting[1]?.run()
    expect(await settled(slept)).toBe(true)
  })

  it('waits in real time', async () => {
    const before = performance.now()
    await sleep(20, systemMonotonicClock)
    expect(performance.now() - before).toBeGreaterThanOrEqual(18)
  })
})
