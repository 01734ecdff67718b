import { Metadata } from '@grpc/grpc-js'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Call } from '../contract/call.ts'
import { contain } from './contain.ts'

const boom = () => {
  throw new Error('out of order')
}
const warnings = () => vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
const turn = () => new Promise((resolve) => setImmediate(resolve))
afterEach(() => vi.restoreAllMocks())

describe('what an application hands in', () => {
  it('returns what it returns', () => {
    expect(contain('example').run('onEvent', () => 5)).toBe(5)
  })

  it('cannot throw, and the first failure of a place is made public', () => {
    const warned = warnings()
    const contained = contain('example')
    for (let i = 0; i < 3; i++) expect(contained.run('onEvent', boom)).toBeUndefined()
    contained.run('onEnd', boom)
    expect(contained.failures).toBe(4)
    expect(warned.mock.calls.map(([message]) => message)).toEqual([
      'example: "onEvent" failed: out of order. RPCs are not affected; more failures are only counted.',
      'example: "onEnd" failed: out of order. RPCs are not affected; more failures are only counted.',
    ])
    expect(warned.mock.calls[0]?.[1]).toMatchObject({ type: 'GrpcStackWarning', code: 'GRPC_STACK_CALLBACK_FAILED' })
    expect(warned.mock.calls[0]?.[1]).toHaveProperty('detail', expect.stringContaining('contain.test'))
  })

  it('cannot end the process with a promise that rejects', async () => {
    const warned = warnings()
    const contained = contain('example', { code: 'MINE' })
    void contained.run('onEvent', async () => boom())
    await turn()
    expect(contained.failures).toBe(1)
    expect(warned).toHaveBeenCalledWith(expect.any(String), expect.objectContaining({ code: 'MINE' }))
  })

  it('cannot harm by a result that throws when it is looked at', () => {
    warnings()
    const contained = contain('example')
    const trap = Object.defineProperty({}, 'then', { get: boom })
    expect(contained.run('onEvent', () => trap)).toBeUndefined()
    expect(contained.failures).toBe(1)
  })

  it('can throw what is no error, even what cannot be made a text', () => {
    const warned = warnings()
    const contained = contain('example')
    contained.run('a', () => {
      throw undefined
    })
    contained.run('b', () => {
      throw Object.create(null)
    })
    expect(contained.failures).toBe(3)
    expect(warned).toHaveBeenCalledTimes(1)
  })

  it('is told of to a listener instead, whose own failures count', async () => {
    const warned = warnings()
    const told: unknown[] = []
    const contained = contain('example', { onFailure: (error, where) => void told.push([String(error), where]) })
    contained.run('onEvent', boom)
    expect([told, contained.failures]).toEqual([[['Error: out of order', 'onEvent']], 1])
    const failing = contain('example', { onFailure: boom })
    failing.run('onEvent', boom)
    const rejecting = contain('example', { onFailure: async () => boom() })
    rejecting.run('onEvent', boom)
    await turn()
    expect([failing.failures, rejecting.failures]).toEqual([2, 2])
    expect(warned).not.toHaveBeenCalled()
  })

  it('is quoted without the credentials of the call, on one line', () => {
    const warned = warnings()
    const metadata = new Metadata()
    metadata.set('authorization', 'Bearer very-secret-token')
    contain('example').run(
      'onEvent',
      () => {
        throw new Error('bad very-secret-token\nforged line')
      },
      { metadata } as Call,
    )
    const [message, options] = warned.mock.calls[0] ?? []
    expect(message).toContain('bad [redacted]\\u000aforged line')
    expect(JSON.stringify([message, options])).not.toContain('very-secret')
  })
})
