import { afterEach, describe, expect, it, vi } from 'vitest'
import { Listeners } from './listeners.ts'

interface Events {
  readonly open: { readonly key: string }
  readonly refusal: number
}
const make = () => new Listeners<Events>('example', ['open', 'refusal'])
afterEach(() => vi.restoreAllMocks())

describe('listeners', () => {
  it('hear their event until they are removed', () => {
    const listeners = make()
    const heard: unknown[] = []
    const off = listeners.on('open', (event) => heard.push(event))
    const other = (event: number) => heard.push(event)
    listeners.on('refusal', other)
    listeners.emit('open', { key: 'a' })
    listeners.emit('refusal', 1)
    off()
    off()
    listeners.off('refusal', other)
    listeners.emit('open', { key: 'b' })
    listeners.emit('refusal', 2)
    expect(heard).toEqual([{ key: 'a' }, 1])
  })

  it('are known, so that no event is made for none', () => {
    const listeners = make()
    expect(listeners.has('open')).toBe(false)
    const off = listeners.on('open', () => undefined)
    expect([listeners.has('open'), listeners.has('refusal')]).toEqual([true, false])
    off()
    expect(listeners.has('open')).toBe(false)
  })

  it('added or removed by a listener hold from the next event on', () => {
    const listeners = make()
    const heard: string[] = []
    listeners.on('refusal', () => {
      heard.push('first')
      if (heard.length === 1) listeners.on('refusal', () => heard.push('late'))
    })
    listeners.emit('refusal', 1)
    expect(heard).toEqual(['first'])
    listeners.emit('refusal', 2)
    expect(heard).toEqual(['first', 'first', 'late'])
  })

  it('of an event that does not exist are refused', () => {
    const listeners = make()
    for (const name of ['typo', '__proto__', 'constructor', undefined]) {
      expect(() => listeners.on(name as 'open', () => undefined)).toThrow(
        `example.on: event must be "open" or "refusal", got ${name}`,
      )
    }
    expect(() => listeners.off('typo' as 'open', () => undefined)).toThrow('example.off: event must be')
    expect(() => listeners.on('open', 5 as never)).toThrow('example.on: the listener of "open" must be a function')
  })

  it('that throw or reject harm no other, and are made public once', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const listeners = make()
    const heard: number[] = []
    listeners.on('refusal', () => {
      throw new Error('listener')
    })
    listeners.on('refusal', () => Promise.reject(new Error('late listener')) as unknown as undefined)
    listeners.on('refusal', (event) => heard.push(event))
    for (const event of [1, 2]) listeners.emit('refusal', event)
    await new Promise((resolve) => setImmediate(resolve))
    expect(heard).toEqual([1, 2])
    expect(warned).toHaveBeenCalledTimes(1)
    expect(warned).toHaveBeenCalledWith(
      expect.stringContaining('example: "refusal" failed: listener'),
      expect.objectContaining({ code: 'GRPC_STACK_LISTENER_THREW' }),
    )
  })
})
