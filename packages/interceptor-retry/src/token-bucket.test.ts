import { describe, expect, it } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

describe('TokenBucket', () => {
  it('throttle: counts as gRFC A6 says, and blocks at half', () => {
    const bucket = new TokenBucket(4, 0.8)
    const fail = () => {
      bucket.failed()
      return [bucket.tokens, bucket.spend()]
    }
    const succeed = () => {
      bucket.succeeded()
      return [bucket.tokens, bucket.spend()]
    }
    expect(bucket.tokens).toBe(4)
    expect([fail(), fail(), fail(), fail(), fail()]).toEqual([
      [3, true],
      [2, false],
      [1, false],
      [0, false],
      [0, false],
    ])
    expect([succeed(), succeed(), succeed(), succeed(), succeed(), succeed()]).toEqual([
      [0.8, false],
      [1.6, false],
      [2.4, true],
      [3.2, true],
      [4, true],
      [4, true],
    ])
    expect([fail(), fail()]).toEqual([
      [3, true],
      [2, false],
    ])
  })

  it('asking costs nothing: only failures take tokens', () => {
    const bucket = new TokenBucket(4, 1)
    for (let i = 0; i < 10; i++) expect(bucket.spend()).toBe(true)
    expect(bucket.tokens).toBe(4)
  })

  it.each([
    [0.5466, 0.546],
    [1.001, 1.001],
    [0.1, 0.1],
    [0.29, 0.29],
    [0.0009, 0],
  ])('a ratio of %d gives back %d', (ratio, back) => {
    const bucket = new TokenBucket(10, ratio)
    for (let i = 0; i < 10; i++) bucket.failed()
    bucket.succeeded()
    expect(bucket.tokens).toBe(back)
  })

  it('does not drift', () => {
    const bucket = new TokenBucket(1000, 0.1)
    for (let i = 0; i < 1000; i++) bucket.failed()
    for (let i = 0; i < 5000; i++) bucket.succeeded()
    expect(bucket.tokens).toBe(500)
    expect(new TokenBucket(500, 0.1).maxTokens).toBe(500)
    expect(bucket.spend()).toBe(false)
  })
})
