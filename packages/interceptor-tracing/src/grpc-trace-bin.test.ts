import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { GrpcTraceBinPropagator } from './grpc-trace-bin.ts'

const propagator = new GrpcTraceBinPropagator()
const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const bytes = (flags: number) => Buffer.from(`0000${traceId}01${spanId}02${flags.toString(16).padStart(2, '0')}`, 'hex')
const contextOf = (span: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, span)

const inject = (context: Context): Record<string, string> => {
  const carrier: Record<string, string> = {}
  propagator.inject(context, carrier, defaultTextMapSetter)
  return carrier
}
const extract = (carrier: Record<string, string | string[]>): SpanContext | undefined =>
  trace.getSpanContext(propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter))

describe('grpc-trace-bin', () => {
  it.each([
    ['sampled', TraceFlags.SAMPLED],
    ['not sampled', TraceFlags.NONE],
  ])('writes and reads a context that is %s', (_what, traceFlags) => {
    const carrier = inject(contextOf({ traceId, spanId, traceFlags }))
    expect(Buffer.from(carrier['grpc-trace-bin'] ?? '', 'base64')).toEqual(bytes(traceFlags))
    expect(extract(carrier)).toEqual({ traceId, spanId, traceFlags, isRemote: true })
  })

  it('writes nothing without a span, or for an invalid one', () => {
    expect(inject(ROOT_CONTEXT)).toEqual({})
    expect(inject(contextOf({ traceId: '0'.repeat(32), spanId, traceFlags: 1 }))).toEqual({})
    expect(inject(contextOf({ traceId, spanId: '0'.repeat(16), traceFlags: 1 }))).toEqual({})
  })

  const broken = (change: (bytes: Buffer) => Buffer): string => change(bytes(1)).toString('base64')
  const withByte = (at: number, value: number) =>
    broken((good) => {
      good[at] = value
      return good
    })

  it.each([
    ['another version', withByte(0, 1)],
    ['another first field', withByte(1, 3)],
    ['another second field', withByte(18, 0)],
    ['another third field', withByte(27, 0)],
    ['a byte too few', broken((good) => good.subarray(0, 28))],
    ['a byte too many', broken((good) => Buffer.concat([good, Buffer.alloc(1)]))],
    ['a trace id of zeros', broken((good) => good.fill(0, 2, 18))],
    ['a span id of zeros', broken((good) => good.fill(0, 19, 27))],
    ['nothing at all', ''],
    ['no base64', '!!!'],
  ])('leaves the context as it is for %s', (_what, text) => {
    expect(extract({ 'grpc-trace-bin': text })).toBeUndefined()
    expect(propagator.extract(ROOT_CONTEXT, { 'grpc-trace-bin': text }, defaultTextMapGetter)).toBe(ROOT_CONTEXT)
  })

  it('leaves the context as it is without the key', () => {
    expect(propagator.extract(ROOT_CONTEXT, {}, defaultTextMapGetter)).toBe(ROOT_CONTEXT)
  })

  it('reads the first of several values', () => {
    expect(extract({ 'grpc-trace-bin': [bytes(1).toString('base64'), 'invalid'] })?.traceId).toBe(traceId)
  })

  it('names its key', () => expect(propagator.fields()).toEqual(['grpc-trace-bin']))
})
