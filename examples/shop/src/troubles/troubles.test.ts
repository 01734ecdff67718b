import { describe, expect, it, vi } from 'vitest'
import type { Stage } from '../story/step.ts'
import type { Trouble } from './trouble.ts'
import { Troubles } from './troubles.ts'

const nowhere = {} as Stage

function recorded(more: Partial<Trouble> = {}): { trouble: Trouble; done: string[] } {
  const done: string[] = []
  const trouble: Trouble = {
    id: 'rain',
    title: 'It rains',
    text: '',
    start: async () => void done.push('start'),
    stop: async () => void done.push('stop'),
    ...more,
  }
  return { trouble, done }
}

describe('Troubles', () => {
  it('starts and stops in the order of the clicks, and no trouble twice', async () => {
    const { trouble, done } = recorded()
    const troubles = new Troubles(nowhere, () => {}, [trouble])
    for (const on of [true, true, false, true, false, false]) expect(troubles.set('rain', on)).toBe(true)
    await troubles.end()
    expect(done).toEqual(['start', 'stop', 'start', 'stop'])
    expect(troubles.active).toEqual([])
  })

  it('is over by itself when it passes', async () => {
    const { trouble, done } = recorded({ momentary: true })
    const changed = vi.fn()
    const troubles = new Troubles(nowhere, changed, [trouble])
    troubles.set('rain', true)
    await expect.poll(() => changed.mock.calls).toHaveLength(2)
    expect(troubles.active).toEqual([])
    expect(done).toEqual(['start'])
  })

  it('ends what is going on when the shop closes', async () => {
    const { trouble, done } = recorded()
    const troubles = new Troubles(nowhere, () => {}, [trouble])
    troubles.set('rain', true)
    await troubles.end()
    expect(done).toEqual(['start', 'stop'])
  })

  it('is in no trouble when starting it fails', async () => {
    const { trouble } = recorded({ start: () => Promise.reject(new Error('no clouds')) })
    const complained = vi.spyOn(console, 'error').mockReturnValue()
    const troubles = new Troubles(nowhere, () => {}, [trouble])
    troubles.set('rain', true)
    await troubles.end()
    expect(troubles.active).toEqual([])
    expect(complained).toHaveBeenCalledWith('shop: It rains: Error: no clouds')
  })

  it('knows which troubles there are', () => {
    expect(new Troubles(nowhere, () => {}).set('snow', true)).toBe(false)
  })
})
