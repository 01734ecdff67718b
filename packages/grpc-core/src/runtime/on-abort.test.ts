import { expect, it, vi } from 'vitest'
import { onAbort } from './on-abort.ts'

it('one that throws keeps no other from hearing, and its error surfaces', () => {
  const nextTick = vi.spyOn(process, 'nextTick').mockImplementation(() => undefined)
  const controller = new AbortController()
  let heard = 0
  onAbort(controller.signal, () => {
    throw new Error('on purpose')
  })
  onAbort(controller.signal, () => heard++)
  onAbort(controller.signal, () => heard++)()
  controller.abort()
  const later = nextTick.mock.calls.map(([callback]) => callback)
  nextTick.mockRestore()
  expect(heard).toBe(1)
  expect(later).toHaveLength(1)
  expect(later[0]).toThrow('on purpose')
})

it('unsubscribing twice removes no listener that was added in between', () => {
  const controller = new AbortController()
  let heard = 0
  const forget = onAbort(controller.signal, () => undefined)
  forget()
  onAbort(controller.signal, () => heard++)
  forget()
  controller.abort()
  expect(heard).toBe(1)
})
