import fc from 'fast-check'
import { expect, it } from 'vitest'
import { searchedOnce } from './clean-texts.ts'

/** Whether this text is searched, and found to be clean. */
function searched(headers: readonly string[], text: string): boolean {
  let times = 0
  const same = (given: string): string => {
    times++
    return given
  }
  expect(searchedOnce([...headers], text, same)).toBe(text)
  return times > 0
}

// What could be taken for the end of a part, and what is the same in UTF-8.
const part = fc.string({ unit: fc.constantFrom('1', '2', ' ', 'a', ':', ',', '"', 'é', '\ud800', '\udc00', '\ufffd') })

it('a clean text is not searched again for the same credentials', () => {
  expect(searched(['authorization', 'Bearer one'], 'No valid credentials')).toBe(true)
  expect(searched(['authorization', 'Bearer one'], 'No valid credentials')).toBe(false)
})

it('any other text, and the same for any other credentials, is searched', () => {
  const one = fc.tuple(fc.array(part, { maxLength: 4 }), part)
  fc.assert(
    fc.property(
      fc.uniqueArray(one, { minLength: 2, maxLength: 8, selector: (pair) => JSON.stringify(pair) }),
      (pairs) => {
        // Names that no other run has.
        const name = `run ${run++}`
        for (const [headers, text] of pairs) expect(searched([name, ...headers], text)).toBe(true)
      },
    ),
    { numRuns: 1000 },
  )
})
let run = 0

it('texts that differ in half of a surrogate pair alone are searched each', () => {
  const headers = ['authorization', 'secret \ud800']
  for (const text of ['half \ufffd', 'half \ud800', 'half \ud801'])
    expect([text, searched(headers, text)]).toEqual([text, true])
})

it('a text is searched each time where the credentials are bytes, or too many to be worth a digest', () => {
  const bytes = ['authorization', Buffer.from('one')]
  const long = ['authorization', 'x'.repeat(8192)]
  for (const headers of [bytes, bytes, long, long]) {
    let times = 0
    searchedOnce(headers, 'clean', (text) => {
      times++
      return text
    })
    expect(times).toBe(1)
  }
})
