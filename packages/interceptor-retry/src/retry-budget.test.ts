import { describe, expect, it } from 'vitest'
import { RetryBudget } from './retry-budget.ts'

describe('RetryBudget', () => {
  it('is a share of calls by default, 20 % and 1 per second over 10 s', () => {
    const budget = new RetryBudget()
    expect(budget.available).toBe(10)
    for (let i = 0; i < 10; i++) budget.started()
    expect(budget.available).toBe(12)
    expect(budget.spend()).toBe(true)
    expect(budget.available).toBe(11)
  })

  it('is the token bucket of gRFC A6 when it is told tokens', () => {
    const budget = new RetryBudget({ maxTokens: 4, tokenRatio: 0.5 })
    expect(budget.available).toBe(2)
    budget.failed()
    expect([budget.available, budget.spend()]).toEqual([1, true])
    budget.failed()
    expect([budget.available, budget.spend()]).toEqual([0, false])
    budget.succeeded()
    expect([budget.available, budget.spend()]).toEqual([0.5, true])
  })

  it('bounds the bytes that calls keep together', () => {
    const { buffer } = new RetryBudget({ maxBufferedBytes: 10 })
    expect([buffer.reserve(6), buffer.reserve(5), buffer.reserve(4), buffer.used]).toEqual([true, false, true, 10])
    buffer.release(6)
    expect(buffer.used).toBe(4)
  })

  it.each([
    [{ ratio: -1 }, 'RetryBudget: option "ratio" must be a number ≥ 0, got -1'],
    [{ ratio: Number.NaN }, 'option "ratio"'],
    [{ minRetriesPerSecond: Number.POSITIVE_INFINITY }, 'option "minRetriesPerSecond"'],
    [{ windowMs: 0 }, 'option "windowMs"'],
    [{ clock: {} }, 'option "clock"'],
    [{ maxBufferedBytes: -1 }, 'option "maxBufferedBytes"'],
    [{ maxTokens: 0, tokenRatio: 1 }, 'option "maxTokens" must be a number above 0 and at most 1000, got 0'],
    [{ maxTokens: 1001, tokenRatio: 1 }, 'option "maxTokens"'],
    [{ maxTokens: 10 }, 'option "tokenRatio" must be a number above 0, got undefined'],
    [{ tokenRatio: 1 }, 'option "maxTokens"'],
    [{ maxTokens: 10, tokenRatio: 1, ratio: 0.2 }, 'unknown option "ratio"'],
    [{ ratios: 0.2 }, 'unknown option "ratios"'],
    [null, 'options must be an object'],
  ])('refuses %j', (options, message) => {
    expect(() => new RetryBudget(options as object)).toThrow(TypeError)
    expect(() => new RetryBudget(options as object)).toThrow(message)
  })
})
