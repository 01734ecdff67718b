import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { interceptorSuite } from './interceptor-suite.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

/** The README's words for the scenarios. */
const words: Readonly<Record<string, readonly string[]>> = {
  success: ['success, with headers and trailers', 'success, headers left to grpc-js'],
  'refusals and failures with trailers': [
    'a refusal with trailers, before anything is read',
    'a failure after headers and messages',
  ],
  'handlers that throw': ['a handler that throws'],
  'empty streams': ['empty streams'],
  'what cannot be serialized or parsed': [
    'a request that cannot be serialized',
    'a request that cannot be parsed',
    'a response that cannot be serialized',
    'a response that cannot be parsed',
  ],
  'twenty calls at once': ['twenty calls at once'],
  'cancels at once, while the handler works, after the end': [
    'a cancel right after the call was made',
    'a cancel while the handler works',
    'a cancel, twice, after the end',
  ],
  'deadlines missed, passed and met': [
    'a deadline the handler does not meet',
    'a deadline that has passed already',
    'a deadline that is met',
  ],
  'a lost connection': ['a connection lost in the middle of a call'],
  'a closed channel': ['a call on a closed channel'],
  'early headers': ['headers long before the answer'],
  'messages of 1 MiB': ['large messages'],
  'calls that wait for each other, each of which must go on in its own AsyncLocalStorage, `ContextVar` and OpenTelemetry context':
    ['calls that resume each other keep their own contexts'],
  'each status code': ['each status code'],
  'an answer before anything was read': ['an answer before anything was read'],
  'a cancel between requests': ['a cancel in the middle of the requests'],
  'a server that does not read': ['a server that does not read'],
  'a cancel between responses': ['a cancel in the middle of the response'],
  'a reader that stops reading': ['a reader that stops reading'],
  'responses that are not read, for each way to end': [
    'responses not yet read when the call ends OK',
    'responses not yet read when the call fails',
    'responses not yet read when the call is cancelled',
  ],
  'question and answer in turn': ['question and answer, in turn'],
}

const kindsOf: Readonly<Record<string, readonly string[]>> = {
  'all four kinds': ['unary', 'clientStream', 'serverStream', 'bidi'],
  unary: ['unary'],
  'request streams': ['clientStream', 'bidi'],
  'response streams': ['serverStream', 'bidi'],
  bidi: ['bidi'],
}

/** The tests of a suite, without running them. */
function testsOfSuite(): string[] {
  const tests: string[] = []
  interceptorSuite('any', () => (_call, next) => next(), {
    describe: (_name, body) => body(),
    it: (name) => void tests.push(name),
  })
  return tests
}

describe('the suite', () => {
  it('plays the scenarios that the README names, on those kinds of calls, and no others', () => {
    const [, rows = ''] = /\| played on \| scenarios \|\n\|[-|]+\n((?:\|.*\n)+)/.exec(readme) ?? []
    const named = rows
      .trim()
      .split('\n')
      .flatMap((row) => {
        const [, playedOn = '', scenarios = ''] = row.split('|').map((cell) => cell.trim())
        let rest = scenarios
        const found = Object.entries(words).filter(([phrase]) => {
          if (!`; ${rest}`.replaceAll(', ', '; ').includes(`; ${phrase.replaceAll(', ', '; ')}`)) return false
          rest = rest.replace(phrase, '')
          return true
        })
        expect(rest.replaceAll(/[,; ]/g, ''), 'words that stand for no scenario').toBe('')
        return found.flatMap(([, titles]) =>
          titles.flatMap((title) => (kindsOf[playedOn] ?? []).map((kind) => `${title}: ${kind}`)),
        )
      })
    expect(named.sort()).toEqual(testsOfSuite().sort())
  })

  it('has some hundred tests', () => {
    expect(Math.round(testsOfSuite().length / 100)).toBe(1)
  })
})
