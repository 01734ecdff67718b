import { describe, expect, it } from 'vitest'
import { ContextVar } from '../index.ts'

const tenant = new ContextVar<string>('tenant', { default: 'nobody' })

describe('a ContextVar outside an RPC', () => {
  it('belongs to the flow that set it, also where flows branch off one that has set something', async () => {
    await Promise.resolve()
    tenant.set('main')
    const flows = ['a', 'b', 'c'].map(async (name) => {
      expect(tenant.get()).toBe('main')
      await Promise.resolve()
      tenant.set(name)
      await new Promise((resolve) => setImmediate(resolve))
      return tenant.get()
    })
    expect(await Promise.all(flows)).toEqual(['a', 'b', 'c'])
    expect(tenant.get()).toBe('main')
  })

  it('can be set back, once, with the token of any of several sets', async () => {
    await Promise.resolve()
    const other = new ContextVar<number>('other')
    const before = tenant.get()
    const token = tenant.set('first')
    other.set(1)
    const second = tenant.set('second')
    tenant.reset(second)
    expect([tenant.get(), other.get()]).toEqual(['first', 1])
    tenant.reset(token)
    expect(tenant.get()).toBe(before)
    expect(() => tenant.reset(token)).toThrow('already used')
  })
})
