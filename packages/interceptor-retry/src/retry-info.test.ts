import { Metadata } from '@grpc/grpc-js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { retryInfoBytes, statusWith } from '../test/harness.ts'
import { readRetryInfo } from './retry-info.ts'

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo'

function trailers(bytes: Buffer): Metadata {
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', bytes)
  return metadata
}

describe('readRetryInfo', () => {
  it('reads what protobuf writes: google.rpc.Status { details: [RetryInfo { retry_delay: 1.5s }] }', () => {
    const value = Buffer.from('0a0808011080cab5ee01', 'hex')
    const type = Buffer.from(RETRY_INFO)
    const any = Buffer.concat([Buffer.from([0x0a, type.length]), type, Buffer.from([0x12, value.length]), value])
    const status = Buffer.concat([Buffer.from([0x08, 0x08, 0x1a, any.length]), any])
    expect(readRetryInfo(trailers(status))).toBe(1500)
  })

  it.each([
    [0, 0, 0],
    [0, 1, 1],
    [0, 250_000_000, 250],
    [3, 0, 3000],
    [315_576_000_000, 0, 315_576_000_000_000],
    [-1, 0, 0],
  ])('%d s %d ns are %d ms', (seconds, nanos, ms) => {
    expect(readRetryInfo(trailers(statusWith(RETRY_INFO, retryInfoBytes(seconds, nanos))))).toBe(ms)
  })

  it('finds it behind other details and fields it does not know', () => {
    const other = statusWith('type.googleapis.com/google.rpc.ErrorInfo', Buffer.from([0x0a, 1, 65]))
    const unknown = Buffer.from([0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7d, 1, 2, 3, 4])
    const wanted = statusWith(RETRY_INFO, retryInfoBytes(2))
    expect(readRetryInfo(trailers(Buffer.concat([other, unknown, wanted])))).toBe(2000)
  })

  it('is undefined where the server says nothing, or something else', () => {
    expect(readRetryInfo(new Metadata())).toBeUndefined()
    expect(readRetryInfo(trailers(Buffer.alloc(0)))).toBeUndefined()
    expect(readRetryInfo(trailers(statusWith('x/google.rpc.QuotaFailure', retryInfoBytes(1))))).toBeUndefined()
    expect(readRetryInfo(trailers(statusWith(RETRY_INFO, Buffer.alloc(0))))).toBeUndefined()
  })

  it('is undefined for every truncation of a valid status', () => {
    const whole = statusWith(RETRY_INFO, retryInfoBytes(7, 5))
    for (let length = 0; length < whole.length; length++) {
      expect(readRetryInfo(trailers(whole.subarray(0, length)))).toBeUndefined()
    }
  })

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const ms = readRetryInfo(trailers(Buffer.from(bytes)))
        return ms === undefined || ms >= 0
      }),
      { numRuns: 5000 },
    )
  })
})
