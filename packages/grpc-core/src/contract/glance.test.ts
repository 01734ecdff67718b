import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Glance, LONGEST_GLANCE } from './glance.ts'

const bytes = (minLength: number, maxLength: number) =>
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0x2b, 0x2d, 0x2f, 0x41, 0x5f, 0x61)), {
      minLength,
      maxLength,
    })
    .map((codes) => String.fromCharCode(...codes))

describe('a glance', () => {
  it('overlooks no run of eight characters, wherever it stands in either text, in any case of letters', () => {
    const runs = fc.record({
      run: bytes(8, 8),
      before: bytes(0, 500),
      after: bytes(0, 500),
      otherBefore: bytes(0, 40),
      otherAfter: bytes(0, 40),
    })
    fc.assert(
      fc.property(runs, ({ run, before, after, otherBefore, otherAfter }) => {
        const glance = new Glance(`${before}${run}${after}`)
        // Only ASCII letters have a case here: others may have one of several characters.
        const upper = run.replace(/[a-z]/g, (letter) => letter.toUpperCase())
        expect(glance.mayShareRun([`${otherBefore}${upper}${otherAfter}`])).toBe(true)
        expect(glance.mayShareRun([`${otherBefore}${run.replaceAll('-', '+').replaceAll('_', '/')}`])).toBe(true)
      }),
    )
  })

  it('tells most texts apart', () => {
    const token = 'eyJhbGciOiJFZERTQSIsImtpZCI6ImJlbmNoIn0.eyJzdWIiOiJiZW5jaC1jbGllbnQifQ.AAAAqUz3SgQ0uWm5p1xk'
    for (const text of ['invalid credentials', 'The deadline passed', 'no such thing', 'x'.repeat(LONGEST_GLANCE)]) {
      expect(new Glance(text).mayShareRun([token, '', 'ab'])).toBe(false)
    }
  })

  it('sees nothing of the text before', () => {
    expect(new Glance('a secret 12345678').mayShareRun(['12345678'])).toBe(true)
    expect(new Glance('a harmless text of about the same length').mayShareRun(['12345678'])).toBe(false)
  })
})
