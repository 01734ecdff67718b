import { status as Code, Metadata } from '@grpc/grpc-js'
import { RpcError, type StatusDetail } from '@grpc-stack/grpc-core'
import { endWith, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { samples } from '../test/samples.ts'
import {
  addDetails,
  anyDetail,
  badRequest,
  decodeStatus,
  encodeStatus,
  errorDetails,
  errorInfo,
  findDetail,
  quotaFailure,
  retryInfo,
  statusOf,
} from './index.ts'

const trailersWith = (bytes: Uint8Array): Metadata => {
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', Buffer.from(bytes))
  return metadata
}

/** A field of protobuf with fewer than 128 bytes. */
const field = (number: number, ...parts: (string | Buffer)[]): Buffer => {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes])
}

describe('the details of an RpcError', () => {
  it('are read as they were made, each of the standard types', () => {
    const error = new RpcError(Code.INVALID_ARGUMENT, 'bad order', { details: samples })
    expect(error).toMatchObject({ code: 3, details: 'bad order' })
    expect(statusOf(error)).toMatchObject({ code: 3, message: 'bad order' })
    expect(errorDetails(error)).toEqual(samples)
    expect(errorDetails(error).map(({ type }) => type)).toEqual(samples.map(({ type }) => type))
  })

  it.each([true, false])(
    'reach the caller in all four patterns, from a handler and an interceptor: stock server %s',
    async (stock) => {
      const fail = (): never => {
        throw new RpcError(Code.INVALID_ARGUMENT, 'bad order', { details: samples })
      }
      await using interceptor = await startTestServer({ stock, interceptors: [fail] })
      const { metadata } = new RpcError(Code.INVALID_ARGUMENT, 'bad order', { details: samples })
      const behaviour = endWith({ code: Code.INVALID_ARGUMENT, details: 'bad order', metadata })
      await using handler = await startTestServer({ stock, behaviour })
      for (const server of [interceptor, handler]) {
        for (const pattern of patterns) {
          const { status } = await runRpc(server.client(), pattern)
          expect(status).toMatchObject({ code: 3, details: 'bad order' })
          expect(errorDetails(status)).toEqual(samples)
          expect(findDetail(status, 'BadRequest')?.fieldViolations[0]?.field).toBe('items[0].sku')
        }
      }
    },
  )

  it('leave the trailers they were given as they are', () => {
    const metadata = new Metadata()
    metadata.set('a', 'b')
    const error = new RpcError(Code.ABORTED, '', { metadata, details: [errorInfo({ reason: 'X', domain: 'y' })] })
    expect(metadata.getMap()).toEqual({ a: 'b' })
    expect(error.metadata.get('a')).toEqual(['b'])
    expect(new RpcError(Code.ABORTED, '', { metadata, details: [] }).metadata.getMap()).toEqual({ a: 'b' })
  })

  it.each([[{}], ['x'], [[{}]], [[undefined]], [null]])('that are none are a TypeError: %j', (details) => {
    const options = { details: details as unknown as StatusDetail[] }
    expect(() => new RpcError(Code.ABORTED, '', options)).toThrow('options.details')
  })

  it('of another service are passed on under the new code, with types and fields unknown here', () => {
    const own = anyDetail({ typeUrl: 'type.googleapis.com/shop.v1.OutOfStock', value: Buffer.from([8, 1]) })
    const newer = field(
      3,
      field(1, 'type.googleapis.com/google.rpc.ErrorInfo'),
      field(2, field(1, 'X'), field(9, 'new')),
    )
    const first = new RpcError(Code.ABORTED, 'first', {
      metadata: trailersWith(Buffer.concat([Buffer.from([8, 10]), newer])),
      details: [own],
    })
    const second = new RpcError(Code.UNAVAILABLE, 'second', { details: errorDetails(first) })
    expect(statusOf(second)).toEqual({ ...statusOf(first), code: 14, message: 'second' })
    expect(errorDetails(second)).toHaveLength(2)
    expect(errorDetails(second)[0]?.toAny().value).toEqual(
      Uint8Array.from(Buffer.concat([field(1, 'X'), field(9, 'new')])),
    )
    const kept = new RpcError(Code.UNAVAILABLE, 'second', { metadata: first.metadata, details: [own] })
    expect(statusOf(kept)).toMatchObject({ code: 14, message: 'second' })
    expect(errorDetails(kept).map(({ type }) => type)).toEqual(['ErrorInfo', 'Any', 'Any'])
  })
})

describe('addDetails', () => {
  it('adds to what an interceptor or a handler of grpc-js ends with', () => {
    const status = { code: Code.RESOURCE_EXHAUSTED, details: 'slow down' }
    const metadata = addDetails(new Metadata(), status, [retryInfo({ retryDelayMs: 1_500 })])
    expect(findDetail({ ...status, metadata }, 'RetryInfo')?.retryDelayMs).toBe(1_500)
    addDetails(metadata, status, [errorInfo({ reason: 'QUOTA', domain: 'shop' })])
    expect(statusOf({ metadata })).toMatchObject({ code: 8, message: 'slow down' })
    expect(errorDetails({ metadata }).map(({ type }) => type)).toEqual(['RetryInfo', 'ErrorInfo'])
  })
})

describe('what Go’s status.WithDetails sends', () => {
  // Written by hand after the .proto files: fields in the order of their numbers, empty ones left out.
  const golden = Buffer.concat([
    Buffer.from('0808', 'hex'), // code: 8
    Buffer.from('1209736c6f7720646f776e', 'hex'), // message: "slow down"
    Buffer.from('1a36', 'hex'), // details: 54 bytes
    Buffer.from('0a28', 'hex'), // type_url: 40 bytes
    Buffer.from('type.googleapis.com/google.rpc.RetryInfo'),
    Buffer.from('120a', 'hex'), // value: 10 bytes
    Buffer.from('0a0808011080cab5ee01', 'hex'), // retry_delay: 8 bytes, seconds: 1, nanos: 500000000
  ])

  it('is read, and written byte by byte', () => {
    const status = decodeStatus(golden)
    expect(status).toEqual({ code: 8, message: 'slow down', details: [retryInfo({ retryDelayMs: 1_500 })] })
    const details = [retryInfo({ retryDelayMs: 1_500 })]
    expect(encodeStatus({ code: 8, message: 'slow down', details }).toString('hex')).toBe(golden.toString('hex'))
  })
})

describe('what a peer sends', () => {
  it.each([undefined, null, 'x', 7, {}, { metadata: {} }, { metadata: { get: 7 } }, new Error('x')])(
    'has no details when it is no status: %j',
    (failure) => {
      expect(errorDetails(failure)).toEqual([])
      expect(findDetail(failure, 'ErrorInfo')).toBeUndefined()
    },
  )

  it('has no details when reading it throws', () => {
    const failure = {
      get metadata(): never {
        throw new Error('x')
      },
    }
    expect(errorDetails(failure)).toEqual([])
  })

  it('stays an Any when its bytes do not match its type', () => {
    const typeUrl = 'type.googleapis.com/google.rpc.ErrorInfo'
    const value = Buffer.from([0x0a, 5, 65])
    const metadata = addDetails(new Metadata(), { code: 3 }, [
      anyDetail({ typeUrl, value }),
      errorInfo({ reason: 'R', domain: 'd' }),
    ])
    expect(errorDetails({ metadata }).map(({ type }) => type)).toEqual(['Any', 'ErrorInfo'])
    expect(findDetail({ metadata }, 'Any')).toMatchObject({ typeUrl, value: Uint8Array.from(value) })
  })

  it('cannot reach the prototype of the metadata', () => {
    const entry = field(3, field(1, '__proto__'), field(2, 'x'))
    const typeUrl = 'type.googleapis.com/google.rpc.ErrorInfo'
    const metadata = addDetails(new Metadata(), { code: 3 }, [anyDetail({ typeUrl, value: entry })])
    const read = findDetail({ metadata }, 'ErrorInfo')?.metadata ?? {}
    expect(Object.entries(read)).toEqual([['__proto__', 'x']])
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
  })

  it('is not named after a member of Object', () => {
    const details = [anyDetail({ typeUrl: 'x/google.rpc.toString', value: Buffer.alloc(0) })]
    const metadata = addDetails(new Metadata(), { code: 3 }, details)
    expect(errorDetails({ metadata }).map(({ type }) => type)).toEqual(['Any'])
  })

  it('is left alone above the limits of size and of fields', () => {
    const large = encodeStatus({ code: 3, message: 'x'.repeat(64 * 1024), details: [] })
    expect(decodeStatus(large)).toBeUndefined()
    expect(decodeStatus(Buffer.alloc(2 * 2_001, Buffer.from([8, 1])))).toBeUndefined()
    const many = quotaFailure({ violations: Array.from({ length: 3_000 }, () => ({ subject: '', description: '' })) })
    expect(decodeStatus(encodeStatus({ code: 3, message: '', details: [many] }))?.details[0]?.type).toBe('Any')
    // The limit is one for all details together.
    const half = quotaFailure({ violations: Array.from({ length: 1_200 }, () => ({ subject: '', description: '' })) })
    const both = decodeStatus(encodeStatus({ code: 3, message: '', details: [half, half] }))
    expect(both?.details.map(({ type }) => type)).toEqual(['QuotaFailure', 'Any'])
  })

  it('may nest groups that are passed over, to a depth of 100', () => {
    const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x4b), Buffer.alloc(depth, 0x4c)])
    expect(decodeStatus(Buffer.concat([nested(100), Buffer.from([8, 5])]))).toMatchObject({ code: 5 })
    expect(decodeStatus(nested(101))).toBeUndefined()
  })
})

describe('a detail made wrong', () => {
  it.each([
    [() => badRequest(undefined as never), 'badRequest: the detail must be an object'],
    [() => badRequest({} as never), 'badRequest: fieldViolations must be an array'],
    [
      () => badRequest({ fieldViolations: [{ field: 7 as never, description: 'x' }] }),
      'badRequest: fieldViolations[0].field must be a string',
    ],
    [
      () => badRequest({ fieldViolations: [{ field: 'a', description: 'x', localizedMessage: {} as never }] }),
      'badRequest: fieldViolations[0].localizedMessage.locale must be a string',
    ],
    [
      () => errorInfo({ reason: 'X', domain: 'y', metadata: { n: 1 as never } }),
      'errorInfo: metadata.n must be a string',
    ],
    [() => retryInfo({} as never), 'retryInfo: retryDelayMs must be a number of milliseconds'],
    [
      () => retryInfo({ retryDelayMs: Number.NaN }),
      'retryInfo: retryDelayMs must be a number of milliseconds, 0 or more',
    ],
    [() => retryInfo({ retryDelayMs: -1 }), 'retryInfo: retryDelayMs must be a number of milliseconds, 0 or more'],
    [
      () => quotaFailure({ violations: [{ subject: '', description: '', quotaValue: 7 as never }] }),
      'quotaFailure: violations[0].quotaValue must be a bigint of 64 bits',
    ],
    [() => anyDetail({ typeUrl: 'x', value: Buffer.alloc(0) }), 'anyDetail: typeUrl'],
    [() => anyDetail({ typeUrl: 'a/b', value: 'x' as never }), 'anyDetail: value'],
  ])('is a TypeError that names the member: %s', (make, text) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(text)
  })
})
