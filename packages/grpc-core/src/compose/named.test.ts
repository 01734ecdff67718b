import { describe, expect, it } from 'vitest'
import { nameOfObject, oneSided } from '../contract/interceptor-marks.ts'
import { named } from './named.ts'

describe('named', () => {
  it('gives an interceptor its name, whatever a bundler made of its function', () => {
    const e = (a: number, b: number) => a + b
    const interceptor: (a: number, b: number) => number = named('rateLimit', e)
    expect([interceptor.name, interceptor(1, 2)]).toEqual(['rateLimit', 3])
  })

  it('gives an interceptor object its name, and adds nothing that can be counted', () => {
    const object = { interceptService: () => null }
    expect(named('audit', object)).toBe(object)
    expect(nameOfObject(object)).toBe('audit')
    expect(Object.keys(object)).toEqual(['interceptService'])
  })

  it('says which side an interceptor is for', () => {
    const interceptor = named('rateLimit', () => undefined, { side: 'server', instead: 'throttle()' })
    expect(oneSided(interceptor)).toEqual({ name: 'rateLimit', side: 'server', instead: 'throttle()' })
    expect(oneSided(named('logging', () => undefined))).toBeUndefined()
  })

  it('names what is named already anew', () => {
    const interceptor = named('a', () => undefined, { side: 'server' })
    expect(named('b', interceptor, { side: 'client' }).name).toBe('b')
    expect(oneSided(interceptor)).toEqual({ name: 'b', side: 'client' })
  })

  it.each([
    [['', () => undefined], 'named: the first argument must be a name, got ""'],
    [[() => undefined, 'x'], 'named: the first argument must be a name, got function (anonymous)'],
    [['x', undefined], 'named: the second argument must be an interceptor, got undefined'],
    [['x', () => undefined, 'server'], 'named: settings must be an object such as { side: \'client\' }, got "server"'],
    [['x', () => undefined, { side: 'both' }], 'named: setting "side" must be "client" or "server", got "both"'],
    [['x', () => undefined, { sides: 'client' }], 'named: unknown setting "sides"; known are side, instead'],
    [['x', () => undefined, { instead: 5 }], 'named: setting "instead" must be a text such as "throttle()", got 5'],
  ])('refuses %s', (given, text) => {
    expect(() => named(...(given as unknown as Parameters<typeof named>))).toThrow(new TypeError(text))
  })
})
