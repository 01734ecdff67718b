import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duplicateMember } from './duplicate-member.ts'

describe('duplicateMember', () => {
  const cases: [string, string | undefined][] = [
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"\\u0061" : 2}', 'a'],
    ['[{"a":1},{"a":2}]', undefined],
    ['{"a":{"a":1},"b":{"a":1}}', undefined],
    ['{"a":["x","x",{"b":1,"b":2}]}', 'b'],
    ['{"a":"b","b":"a"}', undefined],
    ['{"a":"{\\"a\\":1,\\"a\\":2}"}', undefined],
    ['{"a":{},"a":{}}', 'a'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    ['"a"', undefined],
  ]
  it.each(cases)('%s: %s', (json, expected) => {
    expect(duplicateMember(json)).toBe(expected)
  })

  it('finds none in what was an object, and one that is put in', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.boolean(), (object, spaced) => {
        const json = JSON.stringify(object, null, spaced ? 2 : 0)
        expect(duplicateMember(json)).toBe(undefined)
        const [name = ''] = Object.keys(object)
        expect(duplicateMember(json.replace(/}$/, () => `,${JSON.stringify(name)}:1}`))).toBe(name)
      }),
    )
  })

  it('takes a long string in its stride', () => {
    expect(duplicateMember(JSON.stringify({ a: '\\"'.repeat(250_000) }))).toBe(undefined)
  })
})
