import { describe, expect, it } from 'vitest'
import { Circuit } from './circuit.ts'
import { Circuits } from './circuits.ts'
import { consecutive } from './consecutive.ts'

const settings = {
  halfOpenPermits: 1,
  successesToClose: 1,
  probeTimeoutMs: 1,
  clock: { now: () => 0 },
  slowMs: 0,
  openTimeMs: () => 0,
  onChange: () => undefined,
}
const circuits = (maxKeys: number) => new Circuits(maxKeys, () => new Circuit(consecutive(1).open(), settings))
const keys = (all: Circuits) => all.all().map(({ key }) => key)

describe('Circuits', () => {
  it('keeps what it has under a key', () => {
    const all = circuits(2)
    expect(all.obtain('a')).toBe(all.obtain('a'))
    expect(all.get('a')).toBe(all.obtain('a'))
    expect(all.get('b')).toBeUndefined()
  })

  it('drops what came once before what came again', () => {
    const all = circuits(3)
    for (const key of ['a', 'b', 'c', 'a', 'd', 'e']) all.obtain(key)
    expect(keys(all)).toContain('a')
    expect(keys(all)).toHaveLength(3)
    expect(keys(all)).toEqual(expect.arrayContaining(['d', 'e']))
  })

  it('stays within its bound when all came again', () => {
    const all = circuits(3)
    for (const key of ['a', 'a', 'b', 'b', 'c', 'c']) all.obtain(key)
    for (let i = 0; i < 100; i++) {
      all.obtain(`more ${i}`)
      all.obtain(`more ${i}`)
      expect(all.size).toBe(3)
    }
    expect(keys(all)).toContain('more 99')
  })

  it('drops nothing that is pinned, and tells who holds an entry that it was dropped', () => {
    const all = circuits(2)
    const pinned = all.obtain('pinned')
    pinned.pinned++
    const held = all.obtain('held')
    for (let i = 0; i < 10; i++) all.obtain(`more ${i}`)
    expect(all.get('pinned')).toBe(pinned)
    expect([pinned.dropped, held.dropped]).toEqual([false, true])
  })

  it('grows rather than drop what is pinned', () => {
    const all = circuits(1)
    all.obtain('a').pinned++
    all.obtain('b')
    expect(keys(all)).toEqual(['a', 'b'])
  })
})
