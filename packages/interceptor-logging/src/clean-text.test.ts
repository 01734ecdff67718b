import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanText } from './clean-text.ts'

describe('cleanText', () => {
  it.each([
    ['plain text, ünïcödé and 🙂', 'plain text, ünïcödé and 🙂'],
    ['a\nb\r\nc', 'a\\u000ab\\u000d\\u000ac'],
    ['\u001b[31mred\u0007', '\\u001b[31mred\\u0007'],
    ['\u0085\u2028\u2029', '\\u0085\\u2028\\u2029'],
    ['user\u202eexe.txt', 'user\\u202eexe.txt'],
    ['half \ud83d pair', 'half \\ud83d pair'],
    ['zero\u200b\u200c\u200d\u2060width', 'zero\\u200b\\u200c\\u200d\\u2060width'],
    ['soft\u00ad\u180e\u3164\u115fhidden', 'soft\\u00ad\\u180e\\u3164\\u115fhidden'],
    ['tag\u{e0041}', 'tag\\udb40\\udc41'],
    ['\u009b31m', '\\u009b31m'],
  ])('%j', (given, clean) => {
    expect(cleanText(given, 100)).toBe(clean)
  })

  it('cuts what is too long', () => {
    expect(cleanText('abcdef', 6)).toBe('abcdef')
    expect(cleanText('abcdefg', 6)).toBe('abcdef…')
  })

  it('whatever comes in, it is one line of printable text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(50), (text, maxLength) => {
        const clean = cleanText(text, maxLength)
        expect(clean).not.toMatch(
          /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u,
        )
        expect(clean.length).toBeLessThanOrEqual(6 * maxLength + 1)
      }),
    )
  })
})
