import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAltNames } from './subject-alt-name.ts'

describe('parseAltNames', () => {
  const table: [string | undefined, unknown][] = [
    [undefined, { uri: [], dns: [] }],
    ['', { uri: [], dns: [] }],
    ['DNS:a.example', { uri: [], dns: ['a.example'] }],
    ['DNS:a, DNS:b, URI:c', { uri: ['c'], dns: ['a', 'b'] }],
    ['IP Address:127.0.0.1, email:x@y, DNS:a', { uri: [], dns: ['a'] }],
    ['DNS:"a, URI:b"', { uri: [], dns: ['a, URI:b'] }],
    ['DNS:"a\\"b", URI:c', { uri: ['c'], dns: ['a"b'] }],
    ['DNS:"a, URI:b', undefined],
    ['DNS:a,URI:b', undefined],
    ['DNS:a, ', { uri: [], dns: ['a'] }],
    ['nonsense', undefined],
    ['DNS:"\\x"', undefined],
  ]
  for (const [text, names] of table) {
    it(`reads ${JSON.stringify(text)}`, () => expect(parseAltNames(text)).toEqual(names))
  }

  it('reads back whatever is written the way Node writes it', () => {
    const name = fc.tuple(fc.constantFrom('DNS', 'URI'), fc.string({ unit: 'grapheme', minLength: 1 }))
    fc.assert(
      fc.property(fc.array(name), (names) => {
        const text = names.map(([kind, value]) => `${kind}:${JSON.stringify(value)}`).join(', ')
        const of = (wanted: string) => names.filter(([kind]) => kind === wanted).map(([, value]) => value)
        expect(parseAltNames(text)).toEqual({ uri: of('URI'), dns: of('DNS') })
      }),
    )
  })

  it('never takes long over hostile text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseAltNames(text)
      }),
    )
    const start = performance.now()
    parseAltNames(`DNS:"${'\\'.repeat(100_000)}`)
    parseAltNames(`${'DNS:a, '.repeat(10_000)}x`)
    expect(performance.now() - start).toBeLessThan(500)
  })
})
