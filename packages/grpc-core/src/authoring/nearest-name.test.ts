import { describe, expect, it } from 'vitest'
import { nearestName } from './nearest-name.ts'

const known = ['maxAttempts', 'timeoutMs', 'rate', 'retryIf']

describe('nearestName', () => {
  it.each([
    ['maxAtempts', 'maxAttempts'],
    ['maxattempts', 'maxAttempts'],
    ['timeout', 'timeoutMs'],
    ['tiemoutMs', 'timeoutMs'],
    ['rat', 'rate'],
    ['colour', undefined],
    ['x', undefined],
    ['', undefined],
    ['timeoutMs'.repeat(20), undefined],
  ])('%s: %s', (given, meant) => {
    expect(nearestName(given, known)).toBe(meant)
  })
  it('is a name within so many letters, if that is said', () => {
    expect(nearestName('maxAtemps', known, 2)).toBe('maxAttempts')
    expect(nearestName('mxAtemps', known, 2)).toBeUndefined()
    expect(nearestName('mxAtemps', known)).toBe('maxAttempts')
  })
})
