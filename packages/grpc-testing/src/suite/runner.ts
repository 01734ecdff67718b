import * as nodeTest from 'node:test'

/** The part of a test runner the suite uses. vitest, jest, mocha and node:test have it. */
export interface SuiteRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** vitest's module, which its workers keep here also where its globals are off. */
const VITEST = '__vitest_index__'

/** The runner that is running: the one with `describe` and `it` as globals, else vitest, else node:test. */
export function defaultRunner(): SuiteRunner {
  const scope = globalThis as Partial<SuiteRunner> & { readonly [VITEST]?: SuiteRunner }
  const { describe, it } = scope
  if (typeof describe === 'function' && typeof it === 'function') return { describe, it }
  const vitest = scope[VITEST]
  if (typeof vitest?.describe === 'function' && typeof vitest.it === 'function') return vitest
  return {
    describe: (name, body) => void nodeTest.describe(name, body),
    it: (name, body) => void nodeTest.it(name, body),
  }
}
