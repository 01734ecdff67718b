import { describe, expect, it } from 'vitest'
import { describeMethod } from '../contract/method.ts'
import { perMethod } from './per-method.ts'

describe('perMethod', () => {
  it('makes one thing per method', () => {
    const made: string[] = []
    const of = perMethod(({ path }) => ({ made: made.push(path) }))
    const [a, b] = [describeMethod('/s/a', false, false), describeMethod('/s/b', false, false)]
    expect([of(a), of(b), of(a)]).toEqual([{ made: 1 }, { made: 2 }, { made: 1 }])
    expect(made).toEqual(['/s/a', '/s/b'])
  })

  it('makes it from what the first call brings', () => {
    const of = perMethod((method, target: string) => `${method.path} at ${target}`)
    const method = describeMethod('/s/a', false, false)
    expect([of(method, 'one'), of(method, 'two')]).toEqual(['/s/a at one', '/s/a at one'])
  })

  it('keeps nothing of an unregistered method', () => {
    let made = 0
    const of = perMethod(() => ++made)
    const unregistered = describeMethod('/made/up', true, true, false)
    expect([of(unregistered), of(unregistered)]).toEqual([1, 2])
  })

  it('keeps undefined, too, and nothing where making it throws', () => {
    let asked = 0
    const of = perMethod(() => {
      if (++asked === 1) throw new Error('first')
      return undefined
    })
    const method = describeMethod('/s/a', false, false)
    expect(() => of(method)).toThrow('first')
    of(method)
    of(method)
    expect(asked).toBe(2)
  })
})
