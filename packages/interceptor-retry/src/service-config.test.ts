import { status as Code } from '@grpc/grpc-js'
import type { MethodInfo } from '@grpc-stack/grpc-core'
import { describe, expect, it } from 'vitest'
import { readServiceConfig } from './service-config.ts'

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: '0.1s',
  maxBackoff: '1s',
  backoffMultiplier: 1.2,
  retryableStatusCodes: [14, 'RESOURCE_EXHAUSTED', 'aborted'],
}
const hedgingPolicy = { maxAttempts: 3, hedgingDelay: '0.5s', nonFatalStatusCodes: ['UNAVAILABLE'] }

const config = (entry: object, more: object = {}) => ({ methodConfig: [{ name: [{}], ...entry }], ...more })
const method = (service: string, name: string) => ({ path: `/${service}/${name}`, service, name }) as MethodInfo
const any = method('shop.v1.Catalog', 'Get')

describe('readServiceConfig', () => {
  it('reads a retry policy, from an object or from its JSON', () => {
    const expected = {
      maxAttempts: 4,
      initialBackoffMs: 100,
      maxBackoffMs: 1000,
      backoffMultiplier: 1.2,
      retryableStatusCodes: [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED],
    }
    expect(readServiceConfig('retry', config({ retryPolicy })).policyFor(any)?.retryPolicy).toEqual(expected)
    const json = JSON.stringify(config({ retryPolicy }))
    expect(readServiceConfig('retry', json).policyFor(any)?.retryPolicy).toEqual(expected)
  })

  it('reads a hedging policy; without a delay all attempts go out at once', () => {
    const entry = readServiceConfig('hedge', config({ hedgingPolicy })).policyFor(any)
    expect(entry?.hedgingPolicy).toEqual({ maxAttempts: 3, delayMs: 500, nonFatalStatusCodes: [Code.UNAVAILABLE] })
    const least = readServiceConfig('hedge', config({ hedgingPolicy: { maxAttempts: 2 } })).policyFor(any)
    expect(least?.hedgingPolicy).toEqual({ maxAttempts: 2, delayMs: 0, nonFatalStatusCodes: [] })
    const zero = config({ hedgingPolicy: { maxAttempts: 2, hedgingDelay: '0s' } })
    expect(readServiceConfig('hedge', zero).policyFor(any)?.hedgingPolicy?.delayMs).toBe(0)
  })

  it('takes more than 5 attempts for 5', () => {
    const read = readServiceConfig('retry', config({ retryPolicy: { ...retryPolicy, maxAttempts: 9 } }))
    expect(read.policyFor(any)?.retryPolicy?.maxAttempts).toBe(5)
  })

  it.each([
    ['0.1s', 100],
    ['1s', 1000],
    ['0.5s', 500],
    ['1.5s', 1500],
    ['0.000000001s', 0.000001],
    ['3600s', 3_600_000],
  ])('a duration %s is %d ms', (text, ms) => {
    const read = readServiceConfig('retry', config({ retryPolicy: { ...retryPolicy, initialBackoff: text } }))
    expect(read.policyFor(any)?.retryPolicy?.initialBackoffMs).toBeCloseTo(ms, 9)
  })

  it('the entry for the method wins over that for the service, and that over the one for all', () => {
    const named = (name: object, maxAttempts: number) => ({
      name: [name],
      retryPolicy: { ...retryPolicy, maxAttempts },
    })
    const read = readServiceConfig('retry', {
      methodConfig: [
        named({}, 2),
        named({ service: 'shop.v1.Catalog' }, 3),
        named({ service: 'shop.v1.Catalog', method: 'Get' }, 4),
      ],
    })
    const attempts = (m: MethodInfo) => read.policyFor(m)?.retryPolicy?.maxAttempts
    expect(attempts(method('shop.v1.Catalog', 'Get'))).toBe(4)
    expect(attempts(method('shop.v1.Catalog', 'List'))).toBe(3)
    expect(attempts(method('shop.v1.Cart', 'Get'))).toBe(2)
  })

  it('has nothing for a method that no entry names', () => {
    const read = readServiceConfig('retry', { methodConfig: [{ name: [{ service: 'shop.v1.Cart' }], retryPolicy }] })
    expect(read.policyFor(any)).toBeUndefined()
    expect(readServiceConfig('retry', {}).policyFor(any)).toBeUndefined()
  })

  it('reads the throttling', () => {
    const read = readServiceConfig('retry', { retryThrottling: { maxTokens: 10, tokenRatio: 0.1 } })
    expect(read.throttling).toEqual({ maxTokens: 10, tokenRatio: 0.1 })
  })

  it('leaves alone what is none of its business', () => {
    const other = { loadBalancingConfig: [{ round_robin: {} }], healthCheckConfig: { serviceName: 'x' } }
    expect(
      readServiceConfig('retry', config({ timeout: '1s', waitForReady: true }, other)).policyFor(any),
    ).toBeDefined()
  })

  const without = (key: string, policy: object) => Object.fromEntries(Object.entries(policy).filter(([k]) => k !== key))
  it.each([
    ['omitted maxAttempts', { retryPolicy: without('maxAttempts', retryPolicy) }],
    ['a low maxAttempts', { retryPolicy: { ...retryPolicy, maxAttempts: 1 } }],
    ['a broken maxAttempts', { retryPolicy: { ...retryPolicy, maxAttempts: 2.5 } }],
    ['omitted initialBackoff', { retryPolicy: without('initialBackoff', retryPolicy) }],
    ['a non-numeric initialBackoff', { retryPolicy: { ...retryPolicy, initialBackoff: 'abcs' } }],
    ['an initialBackoff without an s', { retryPolicy: { ...retryPolicy, initialBackoff: '123' } }],
    ['an initialBackoff of zero', { retryPolicy: { ...retryPolicy, initialBackoff: '0s' } }],
    ['omitted maxBackoff', { retryPolicy: without('maxBackoff', retryPolicy) }],
    ['a non-numeric maxBackoff', { retryPolicy: { ...retryPolicy, maxBackoff: 'abcs' } }],
    ['a maxBackoff without an s', { retryPolicy: { ...retryPolicy, maxBackoff: '123' } }],
    ['omitted backoffMultiplier', { retryPolicy: without('backoffMultiplier', retryPolicy) }],
    ['a negative backoffMultiplier', { retryPolicy: { ...retryPolicy, backoffMultiplier: -1 } }],
    ['omitted retryableStatusCodes', { retryPolicy: without('retryableStatusCodes', retryPolicy) }],
    ['empty retryableStatusCodes', { retryPolicy: { ...retryPolicy, retryableStatusCodes: [] } }],
    ['unknown status code name', { retryPolicy: { ...retryPolicy, retryableStatusCodes: ['abcd'] } }],
    ['out of range status code number', { retryPolicy: { ...retryPolicy, retryableStatusCodes: [12345] } }],
    ['a status code number as text', { retryPolicy: { ...retryPolicy, retryableStatusCodes: ['14'] } }],
    ['hedging: omitted maxAttempts', { hedgingPolicy: without('maxAttempts', hedgingPolicy) }],
    ['hedging: a low maxAttempts', { hedgingPolicy: { ...hedgingPolicy, maxAttempts: 1 } }],
    ['hedging: a non-numeric hedgingDelay', { hedgingPolicy: { ...hedgingPolicy, hedgingDelay: 'abcs' } }],
    ['hedging: a hedgingDelay without an s', { hedgingPolicy: { ...hedgingPolicy, hedgingDelay: '123' } }],
    ['hedging: unknown status code name', { hedgingPolicy: { ...hedgingPolicy, nonFatalStatusCodes: ['abcd'] } }],
    ['hedging: out of range number', { hedgingPolicy: { ...hedgingPolicy, nonFatalStatusCodes: [12345] } }],
    ['both policies for one method', { retryPolicy, hedgingPolicy }],
  ])('rejects %s', (_what, entry) => {
    expect(() => readServiceConfig('retry', config(entry))).toThrow(TypeError)
    expect(() => readServiceConfig('retry', config(entry))).toThrow('serviceConfig.methodConfig[0]')
  })

  it.each([
    ['omitted maxTokens', { tokenRatio: 0.1 }],
    ['a large maxTokens', { maxTokens: 1001, tokenRatio: 0.1 }],
    ['zero maxTokens', { maxTokens: 0, tokenRatio: 0.1 }],
    ['omitted tokenRatio', { maxTokens: 10 }],
    ['zero tokenRatio', { maxTokens: 10, tokenRatio: 0 }],
  ])('rejects throttling with %s', (_what, retryThrottling) => {
    expect(() => readServiceConfig('retry', { retryThrottling })).toThrow('serviceConfig.retryThrottling')
  })

  it.each([
    ['{', 'is not JSON'],
    ['[]', 'must be an object'],
    [{ methodConfig: {} }, 'serviceConfig.methodConfig'],
    [{ methodConfig: [{}] }, 'serviceConfig.methodConfig[0].name'],
    [{ methodConfig: [{ name: [{ method: 'Get' }] }] }, 'serviceConfig.methodConfig[0].name[0].service'],
  ])('rejects %j', (given, message) => {
    expect(() => readServiceConfig('retry', given)).toThrow(message)
  })
})
