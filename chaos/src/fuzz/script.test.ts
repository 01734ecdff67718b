import { describe, expect, it } from 'vitest'
import { isOrderly, type Script, type Step, scriptOf, written } from './script.ts'

const script = (...steps: Step[]): Script => ({
  seed: 0,
  pattern: 'bidi',
  metadata: [],
  headers: [],
  trailers: [],
  options: {},
  steps,
})

describe('a script', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(scriptOf(7)).toEqual(scriptOf(7))
    expect(new Set([1, 2, 3, 4, 5].map((seed) => written({ ...scriptOf(seed), seed: 0 }))).size).toBe(5)
  })

  it('is read back as it was written', () => {
    for (let seed = 0; seed < 200; seed++) expect(JSON.parse(written(scriptOf(seed)))).toEqual(scriptOf(seed))
  })
})

describe('a script is orderly', () => {
  it('when nothing is on its way as the RPC ends', () => {
    expect(isOrderly(script({ client: 'write', size: 1 }, { wait: 'arrival' }, { client: 'cancel' }))).toBe(true)
    expect(isOrderly(script({ server: 'write', size: 1 }, { wait: 'arrival' }, { server: 'status', code: 5 }))).toBe(
      true,
    )
  })

  it('when OK follows messages, which it waits for', () => {
    expect(isOrderly(script({ server: 'write', size: 1 }, { server: 'status', code: 0 }))).toBe(true)
  })

  it('not when a cancel or a failure may overtake something', () => {
    expect(isOrderly(script({ client: 'cancel' }))).toBe(false)
    expect(isOrderly(script({ client: 'write', size: 1 }, { client: 'cancel' }))).toBe(false)
    expect(isOrderly(script({ server: 'write', size: 1 }, { server: 'status', code: 5 }))).toBe(false)
    expect(isOrderly(script({ client: 'pause' }, { wait: 'arrival' }, { server: 'status', code: 5 }))).toBe(false)
  })

  it('not when a deadline ends it', () => {
    expect(isOrderly({ ...script({ wait: 'deadline' }), options: { deadlineMs: 50 } })).toBe(false)
  })
})
