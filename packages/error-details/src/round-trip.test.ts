import { Metadata } from '@grpc/grpc-js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { samples } from '../test/samples.ts'
import {
  anyDetail,
  badRequest,
  decodeStatus,
  encodeStatus,
  errorDetails,
  errorInfo,
  quotaFailure,
  retryInfo,
} from './index.ts'

const text = fc.string({ unit: 'grapheme' })
const filled = fc.string({ unit: 'grapheme', minLength: 1 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })
/** Leaves members without a value out: undefined and absent are the same to the encoder, not to the types. */
const present = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T
const map = fc.dictionary(fc.oneof(text, fc.constant('__proto__')), text, {
  noNullPrototype: true,
  minKeys: 1,
  maxKeys: 5,
})
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

const detail = fc.oneof(
  fc.record({ reason: text, domain: text, metadata: maybe(map) }).map((info) => errorInfo(present(info) as never)),
  fc.nat({ max: 315_576_000_000_000 }).map((retryDelayMs) => retryInfo({ retryDelayMs })),
  fc
    .array(
      fc
        .record({
          subject: text,
          description: text,
          apiService: maybe(filled),
          quotaDimensions: maybe(map),
          quotaValue: maybe(int64.filter((value) => value !== 0n)),
          futureQuotaValue: maybe(int64),
        })
        .map(present),
      { maxLength: 4 },
    )
    .map((violations) => quotaFailure({ violations: violations as never })),
  fc
    .array(
      fc
        .record({
          field: text,
          description: text,
          reason: maybe(filled),
          localizedMessage: maybe(fc.record({ locale: text, message: text })),
        })
        .map(present),
      { maxLength: 4 },
    )
    .map((fieldViolations) => badRequest({ fieldViolations: fieldViolations as never })),
  fc.record({ typeUrl: text.map((name) => `x/${name}`), value: fc.uint8Array() }).map((any) => anyDetail(any)),
)

describe('a status', () => {
  it('is read as it was written, whatever its content', () => {
    const status = fc.record({
      code: fc.integer({ min: 0, max: 16 }),
      message: text,
      details: fc.array(detail, { maxLength: 5 }),
    })
    fc.assert(
      fc.property(status, (written) => {
        const bytes = encodeStatus(written)
        const read = decodeStatus(bytes)
        expect(read).toEqual(written)
        expect(read && encodeStatus(read).equals(bytes)).toBe(true)
      }),
    )
  })

  it('of any bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const metadata = new Metadata()
        metadata.set('grpc-status-details-bin', Buffer.from(bytes))
        return Array.isArray(errorDetails({ metadata }))
      }),
      { numRuns: 5_000 },
    )
  })

  it('of bytes that were changed or cut never throws, and is written again when it was read', () => {
    const whole = encodeStatus({ code: 3, message: 'bad order', details: samples })
    const change = fc.record({ at: fc.nat({ max: whole.length - 1 }), byte: fc.nat({ max: 255 }) })
    const damage = fc.record({
      changes: fc.array(change, { maxLength: 4 }),
      length: fc.nat({ max: whole.length }),
    })
    let read = 0
    fc.assert(
      fc.property(damage, fc.boolean(), ({ changes, length }, cut) => {
        const bytes = Buffer.from(whole)
        for (const { at, byte } of changes) bytes[at] = byte
        const status = decodeStatus(cut ? bytes.subarray(0, length) : bytes)
        if (status === undefined) return
        read++
        expect(decodeStatus(encodeStatus(status))).toEqual(status)
      }),
      { numRuns: 2_000 },
    )
    expect(read).toBeGreaterThan(0)
  })
})
