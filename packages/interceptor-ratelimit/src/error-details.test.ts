import { array, dictionary, integer, maxSafeNat, option, property, record, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeStatus } from '../test/decode-error-details.ts'
import { holds } from '../test/holds.ts'
import { encodeErrorDetails } from './error-details.ts'

const text = string({ unit: 'grapheme' })

describe('encodeErrorDetails', () => {
  it('writes what a protobuf decoder reads', () => {
    const bytes = encodeErrorDetails({
      code: 8,
      message: 'Rate limit exceeded',
      errorInfo: {
        reason: 'RATE_LIMIT_EXCEEDED',
        domain: 'shop.example',
        metadata: { limit: 'per-peer', rate: '100' },
      },
      retryDelayMs: 1250,
      violations: [{ subject: 'clientip:203.0.113.9', description: '100 per 1000 ms' }],
    })
    expect(decodeStatus(bytes)).toEqual({
      code: 8,
      message: 'Rate limit exceeded',
      details: {
        ErrorInfo: {
          reason: 'RATE_LIMIT_EXCEEDED',
          domain: 'shop.example',
          metadata: { limit: 'per-peer', rate: '100' },
        },
        RetryInfo: { retryDelay: { seconds: 1, nanos: 250_000_000 } },
        QuotaFailure: { violations: [{ subject: 'clientip:203.0.113.9', description: '100 per 1000 ms' }] },
      },
    })
  })

  it('does so for any content', () => {
    const info = record({ reason: text, domain: text, metadata: dictionary(text, text, { noNullPrototype: true }) })
    const some = record({
      code: integer({ min: 0, max: 16 }),
      message: text,
      errorInfo: option(info, { nil: undefined }),
      retryDelayMs: option(maxSafeNat(), { nil: undefined }),
      violations: array(record({ subject: text, description: text }), { maxLength: 5 }),
    })
    holds(
      property(some, ({ errorInfo, retryDelayMs, ...rest }) => {
        const details = {
          ...rest,
          ...(errorInfo !== undefined && { errorInfo }),
          ...(retryDelayMs !== undefined && { retryDelayMs }),
        }
        const decoded = decodeStatus(encodeErrorDetails(details))
        expect(decoded.code).toBe(details.code)
        expect(decoded.message).toBe(details.message)
        expect(decoded.details).toEqual({
          ...(errorInfo !== undefined && { ErrorInfo: errorInfo }),
          ...(retryDelayMs !== undefined && {
            RetryInfo: {
              retryDelay: { seconds: Math.floor(retryDelayMs / 1000), nanos: (retryDelayMs % 1000) * 1e6 },
            },
          }),
          ...(rest.violations.length > 0 && { QuotaFailure: { violations: rest.violations } }),
        })
      }),
    )
  })
})
