import { status as Code, Metadata } from '@grpc/grpc-js'
import { metadataOf } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { abort, RpcError } from '../index.ts'
import { isRpcError } from './rpc-error.ts'
import { LocalStatus, RemoteStatus } from './status.ts'

describe('RpcError', () => {
  // reference: symbol 31
  it('is an Error with the shape of grpc-js’s own', () => {
    const metadata = metadataOf({ a: 'b' })
    const cause = new Error('below')
    const error = new RpcError(Code.NOT_FOUND, 'no such order', { metadata, cause })
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe('RpcError')
    expect(error.message).toBe('5 NOT_FOUND: no such order')
    expect(error).toMatchObject({ code: 5, details: 'no such order', origin: 'local' })
    expect(error.metadata).toBe(metadata)
    expect(error.cause).toBe(cause)
    expect('refusedBy' in error).toBe(false)
  })

  it('always has details and metadata', () => {
    const error = new RpcError(Code.ABORTED)
    expect(error.details).toBe('')
    expect(error.metadata.getMap()).toEqual({})
    expect('cause' in error).toBe(false)
  })

  // reference: flaw 6, symbol 32
  it.each([undefined, null, 0, 17, -1, 1.5, Number.NaN, '5', 'NOT_FOUND', {}])(
    'cannot be made without a code: %j',
    (code) => {
      expect(() => new RpcError(code as never)).toThrow(TypeError)
    },
  )

  it('cannot be made with details or metadata that are none', () => {
    expect(() => new RpcError(Code.ABORTED, 7 as never)).toThrow('details')
    expect(() => new RpcError(Code.ABORTED, '', { metadata: {} as never })).toThrow('metadata')
  })

  it('is made of a status, with all that is known', () => {
    const status = new LocalStatus({ code: Code.ABORTED, details: 'x', cause: 'y', attempts: 3 }, 'quota')
    expect(RpcError.fromStatus(status)).toMatchObject({
      code: 10,
      details: 'x',
      cause: 'y',
      attempts: 3,
      refusedBy: 'quota',
    })
    expect(RpcError.fromStatus(new RemoteStatus(Code.ABORTED, 'x', new Metadata())).origin).toBe('remote')
  })

  it('is made of anything thrown', () => {
    const own = new RpcError(Code.ABORTED)
    expect(RpcError.from(own)).toBe(own)
    const theirs = Object.assign(new Error('5 NOT_FOUND: x'), {
      code: 5,
      details: 'x',
      metadata: metadataOf({ a: 'b' }),
    })
    expect(RpcError.from(theirs)).toMatchObject({ code: 5, details: 'x' })
    expect(RpcError.from(theirs).metadata.get('a')).toEqual(['b'])
    for (const thrown of [new Error('secret'), 'secret', undefined, null, { code: 5 }]) {
      const error = RpcError.from(thrown)
      expect(error).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
      expect(error.cause).toBe(thrown)
      expect(error.message).not.toContain('secret')
    }
    // Errors of Node, of databases: codes that are none of gRPC.
    expect(RpcError.from(Object.assign(new Error('x'), { code: 'ECONNRESET', details: 'x' })).code).toBe(Code.INTERNAL)
    expect(RpcError.from(Object.assign(new Error('x'), { code: 11000, details: 'x' })).code).toBe(Code.INTERNAL)
    expect(RpcError.from(Object.assign(new Error('x'), { code: 0, details: 'x' })).code).toBe(Code.INTERNAL)
  })

  it('abort() throws one', () => {
    expect(() => abort(Code.ABORTED, 'x', metadataOf({ a: 'b' }))).toThrow(RpcError)
    expect(() => abort(Code.OK)).toThrow(TypeError)
  })
})

describe('a thrown proxy', () => {
  it('that throws where it is looked at is no RpcError, and harms no one who asks', () => {
    const { proxy: revoked, revoke } = Proxy.revocable({}, {})
    revoke()
    const trap = new Proxy(
      {},
      {
        has() {
          throw new Error('do not look')
        },
      },
    )
    expect([isRpcError(revoked), isRpcError(trap)]).toEqual([false, false])
  })
})
