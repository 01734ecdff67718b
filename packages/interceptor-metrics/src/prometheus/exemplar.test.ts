import { tellSpan } from '@grpc-stack/grpc-core/authoring'
import { metadataOf } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { checkExemplar, traceOfCall } from './exemplar.ts'

describe('the exemplar of a call', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const span = '00f067aa0ba902b7'
  const of = (traceparent?: string) =>
    traceOfCall({ metadata: metadataOf(traceparent === undefined ? {} : { traceparent }) } as never)

  it('is its trace, if that is sampled', () => {
    expect(of(`00-${trace}-${span}-01`)).toEqual({ trace_id: trace })
    expect(of(`00-${trace}-${span}-03`)).toEqual({ trace_id: trace })
    expect(of(`00-${trace}-${span}-00`)).toBeUndefined()
    expect(of(`00-${'0'.repeat(32)}-${span}-01`)).toBeUndefined()
    expect(of('invalid')).toBeUndefined()
    expect(of()).toBeUndefined()
  })

  it('is that of the span tracing made, which says whether it is sampled', () => {
    const traced = (traceFlags: number) => {
      const call = { metadata: metadataOf({ traceparent: `00-${'f'.repeat(32)}-${span}-01` }) } as never
      tellSpan(call, { spanContext: () => ({ traceId: trace, spanId: span, traceFlags }) })
      return traceOfCall(call)
    }
    expect([traced(1), traced(0)]).toEqual([{ trace_id: trace }, undefined])
  })

  it('must be one a scraper takes', () => {
    expect(checkExemplar({ trace_id: trace })).toEqual({ trace_id: trace })
    expect(checkExemplar({ a: 'x'.repeat(127) })).toBeDefined()
    expect(() => checkExemplar({ a: 'x'.repeat(128) })).toThrow('at most 128 characters, this one has 129')
    expect(() => checkExemplar({ 'trace-id': 'x' })).toThrow('"trace-id" is no label')
    expect(() => checkExemplar({ id: 7 as unknown as string })).toThrow('"id" is no label with a text')
  })
})
