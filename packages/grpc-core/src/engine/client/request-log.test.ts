import { describe, expect, it } from 'vitest'
import type { ReplayPool } from '../../contract/call.ts'
import { type RequestEntry, RequestLog } from './request-log.ts'

const roomy = { maxBytes: 1000, maxMessages: 1000 }

const entryOf = (message: string): RequestEntry => ({
  message,
  bytes: undefined,
  flags: undefined,
  written: undefined,
  passed: 0,
  stages: undefined,
})

/** Adds messages of ten bytes each. Returns whether each fitted. */
const add = (log: RequestLog, ...messages: string[]): boolean[] =>
  messages.map((message) => log.add(entryOf(message), 10))

/** Takes until there is nothing left to take. */
function takeAll(log: RequestLog): unknown[] {
  const taken: unknown[] = []
  for (let entry = log.take(); entry !== undefined; entry = log.take()) taken.push(entry.message)
  return taken
}

/** A pool with so much room, and what it was asked. */
function poolOf(room: number): { readonly pool: ReplayPool; readonly asked: string[] } {
  const asked: string[] = []
  const pool: ReplayPool = {
    reserve: (bytes) => {
      asked.push(`reserve ${bytes}`)
      if (bytes > room) return false
      room -= bytes
      return true
    },
    release: (bytes) => {
      asked.push(`release ${bytes}`)
      room += bytes
    },
  }
  return { pool, asked }
}

describe('a log that keeps nothing', () => {
  it('gives messages in order and forgets them', () => {
    const log = new RequestLog()
    expect([log.keeping, log.drained]).toEqual([false, true])
    expect(add(log, 'a', 'b')).toEqual([true, true])
    expect(log.drained).toBe(false)
    expect(takeAll(log)).toEqual(['a', 'b'])
    expect([log.entries.length, log.drained]).toEqual([0, true])
    log.rewind()
    expect(takeAll(log)).toEqual([])
  })

  it('has room for any number of them', () => {
    const log = new RequestLog()
    for (let n = 0; n < 2000; n++) expect(add(log, 'a')).toEqual([true])
    expect(log.overflown).toBe(false)
  })
})

describe('a log that keeps what was taken', () => {
  it('gives it again after a rewind, and what came since', () => {
    const log = new RequestLog()
    log.keep(roomy)
    expect(log.keeping).toBe(true)
    add(log, 'a', 'b')
    expect(takeAll(log)).toEqual(['a', 'b'])
    expect([log.entries.length, log.drained]).toEqual([2, true])
    expect(log.take()).toBeUndefined()
    add(log, 'c')
    expect(takeAll(log)).toEqual(['c'])
    log.rewind()
    expect(log.drained).toBe(false)
    expect(takeAll(log)).toEqual(['a', 'b', 'c'])
  })

  it('fits as much as the limits say, and not one more', () => {
    const byCount = new RequestLog()
    byCount.keep({ maxBytes: 1000, maxMessages: 2 })
    expect(add(byCount, 'a', 'b')).toEqual([true, true])
    expect(byCount.overflown).toBe(false)
    expect(add(byCount, 'c')).toEqual([false])
    expect(byCount.overflown).toBe(true)
    const byBytes = new RequestLog()
    byBytes.keep({ maxBytes: 20, maxMessages: 1000 })
    expect(add(byBytes, 'a', 'b', 'c')).toEqual([true, true, false])
  })

  it('keeps what did not fit too, in order, and nothing fits after it', () => {
    const log = new RequestLog()
    log.keep({ maxBytes: 15, maxMessages: 1000 })
    expect(add(log, 'a', 'b')).toEqual([true, false])
    expect(log.add(entryOf('c'), 0)).toBe(false)
    expect(takeAll(log)).toEqual(['a', 'b', 'c'])
  })

  it.each([
    [
      { maxBytes: 20, maxMessages: 1 },
      { maxBytes: 10, maxMessages: 2 },
    ],
    [
      { maxBytes: 10, maxMessages: 2 },
      { maxBytes: 20, maxMessages: 1 },
    ],
  ])('is bounded by the larger of two limits: %j, %j', (first, second) => {
    const log = new RequestLog()
    log.keep(first)
    log.keep(second)
    expect(add(log, 'a', 'b', 'c')).toEqual([true, true, false])
  })

  it('forgets at its release what was taken, and how much that was', () => {
    const log = new RequestLog()
    log.keep({ maxBytes: 20, maxMessages: 1000 })
    add(log, 'a', 'b', 'c')
    expect(log.take()?.message).toBe('a')
    log.release()
    expect([log.keeping, log.overflown]).toEqual([false, false])
    expect(log.entries.map(({ message }) => message)).toEqual(['b', 'c'])
    expect(log.add(entryOf('d'), 0)).toBe(true)
    expect(takeAll(log)).toEqual(['b', 'c', 'd'])
    // What it kept before takes no room any more.
    log.keep({ maxBytes: 20, maxMessages: 1000 })
    expect(add(log, 'e', 'f', 'g')).toEqual([true, true, false])
  })
})

describe('a pool', () => {
  it('is asked for each message, and given back at the release all that was taken, once', () => {
    const { pool, asked } = poolOf(20)
    const log = new RequestLog()
    log.keep({ ...roomy, pool })
    expect(add(log, 'a', 'b', 'c', 'd')).toEqual([true, true, false, false])
    expect(asked).toEqual(['reserve 10', 'reserve 10', 'reserve 10'])
    log.release()
    log.release()
    expect(asked.slice(3)).toEqual(['release 20'])
  })

  it('is not asked for what is not kept, nor for messages that do not count', () => {
    const { pool, asked } = poolOf(0)
    const log = new RequestLog()
    add(log, 'a')
    log.keep({ ...roomy, pool })
    expect(log.add(entryOf('b'), 0)).toBe(true)
    log.release()
    add(log, 'c')
    expect(asked).toEqual([])
  })

  it.each(['first', 'second'] as const)('of two limits holds where only the %s has one', (which) => {
    const { pool, asked } = poolOf(10)
    const log = new RequestLog()
    log.keep(which === 'first' ? { ...roomy, pool } : roomy)
    log.keep(which === 'first' ? roomy : { ...roomy, pool })
    expect(add(log, 'a', 'b')).toEqual([true, false])
    log.release()
    expect(asked).toEqual(['reserve 10', 'reserve 10', 'release 10'])
  })

  it('of the first limits stays where both have one', () => {
    const first = poolOf(10)
    const second = poolOf(10)
    const log = new RequestLog()
    log.keep({ ...roomy, pool: first.pool })
    log.keep({ ...roomy, pool: second.pool })
    add(log, 'a')
    expect([first.asked, second.asked]).toEqual([['reserve 10'], []])
  })
})

describe('what messages became at replay points', () => {
  it('is forgotten from the given point on', () => {
    const log = new RequestLog()
    const untouched = entryOf('a')
    const tapped: RequestEntry = { ...entryOf('b'), passed: 3, stages: ['b0', 'b1', 'b2'] }
    const early: RequestEntry = { ...entryOf('c'), passed: 1, stages: ['c0'] }
    for (const entry of [untouched, tapped, early]) log.add(entry, 0)
    log.forgetStagesFrom(2)
    expect([untouched, tapped, early].map(({ passed, stages }) => [passed, stages])).toEqual([
      [0, undefined],
      [2, ['b0', 'b1']],
      [1, ['c0']],
    ])
  })
})
