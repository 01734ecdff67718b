import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { ContextVar } from '../contract/context-var.ts'
import { inThisContext } from './in-this-context.ts'
import { runShared } from './shared-work.ts'

const storage = new AsyncLocalStorage<string>()
const userVar = new ContextVar<string>('user')
const seen = () => [storage.getStore(), userVar.get(undefined as never)]

describe('work that calls share', () => {
  it('sees nothing of the call that starts it, then and later', async () => {
    await storage.run('caller', async () => {
      userVar.set('alice')
      const work = runShared(async () => {
        const first = storage.getStore()
        await new Promise((resolve) => setImmediate(resolve))
        return [first, storage.getStore()]
      })
      expect(await work).toEqual([undefined, undefined])
      expect(storage.getStore()).toBe('caller')
      expect(runShared(() => userVar.get('nobody'))).toBe('nobody')
      expect(userVar.get()).toBe('alice')
    })
  })

  it('leaves nothing behind for the next', () => {
    runShared(() => storage.enterWith('left behind'))
    expect(runShared(() => storage.getStore())).toBeUndefined()
  })
})

describe('a waiter bound to its context', () => {
  it('sees it in whatever event it is woken', () => {
    const wake = storage.run('waiting', () => inThisContext((what: string) => [what, storage.getStore()]))
    expect(storage.run('another', () => wake('go'))).toEqual(['go', 'waiting'])
  })
})

it('without any call there is none', () => expect(seen()[0]).toBeUndefined())
