import { AsyncLocalStorage } from 'node:async_hooks'
import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { captureScope, runWith } from './async-scope.ts'

/** What the storage holds inside, after an await inside, afterwards, and in the scope that was captured. */
async function stores(): Promise<unknown[]> {
  const storage = new AsyncLocalStorage<string>()
  const here = captureScope()
  let inside: string | undefined
  let later: Promise<string | undefined> | undefined
  const work = (subject: string): void => {
    inside = `${subject} ${storage.getStore()}`
    later = Promise.resolve().then(() => storage.getStore())
  }
  runWith(storage, 'store', work, 'subject', here)
  return [inside, await later, storage.getStore(), here.runInAsyncScope(() => storage.getStore())]
}

describe('runWith', () => {
  it('enters a store for the work and what follows from it, and for nothing else', async () => {
    expect(await stores()).toEqual(['subject store', 'store', undefined, undefined])
  })

  it('leaves it when the work throws', () => {
    const storage = new AsyncLocalStorage<string>()
    const fail = (): void => {
      throw new Error('fails')
    }
    expect(() => runWith(storage, 'store', fail, undefined, captureScope())).toThrow('fails')
    expect(storage.getStore()).toBeUndefined()
  })

  // Before Node 24 the hooks are the only way, and the flag is unknown.
  const flag = '--no-async-context-frame'
  const hasFlag = Number.parseInt(process.versions.node, 10) >= 24
  if (hasFlag)
    it(`does so where contexts are kept by hooks (${flag}, Node 24 and later)`, () => {
      const script = `
      import { AsyncLocalStorage } from 'node:async_hooks'
      import { captureScope, runWith } from ${JSON.stringify(new URL('./async-scope.ts', import.meta.url).href)}
      const storage = new AsyncLocalStorage()
      const here = captureScope()
      runWith(storage, 'store', () => console.log(storage.getStore()), undefined, here)
      console.log(storage.getStore(), here.runInAsyncScope(() => storage.getStore()))
    `
      const said = execFileSync(process.execPath, [flag, '--input-type=module', '-e', script], { encoding: 'utf8' })
      expect(said).toBe('store\nundefined undefined\n')
    })
})
