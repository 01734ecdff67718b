import { describe, expect, it } from 'vitest'
import { type TracingOptions, tracing } from './index.ts'

describe('options that are wrong', () => {
  it.each([
    [{ sampler: 1 }, 'tracing: unknown option "sampler"'],
    [{ per: 'attempts' }, 'tracing: option "per" must be one of call, attempt, got "attempts"'],
    [{ spanName: 'x' }, 'tracing: option "spanName" must be a function, got "x"'],
    [{ attributes: 'x' }, 'tracing: option "attributes" must be an object or a function, got "x"'],
    [
      { semanticConventions: 'old' },
      'tracing: option "semanticConventions" must be one of stable, legacy, both, got "old"',
    ],
    [{ metadata: ['x'] }, 'tracing: unknown option "metadata.0"'],
    [{ metadata: { request: ['x'] } }, 'tracing: unknown option "metadata.request"'],
    [
      { metadata: { requestHeaders: 'x' } },
      'tracing: option "metadata.requestHeaders" must be a list of metadata keys, got "x"',
    ],
    [
      { metadata: { responseTrailers: ['a b'] } },
      'tracing: option "metadata.responseTrailers" must be a list of metadata keys, got ["a b"]',
    ],
    [{ messageEvents: 1 }, 'tracing: option "messageEvents" must be true or false, got 1'],
    [{ links: [] }, 'tracing: option "links" must be a function, got []'],
    [{ messageLinks: {} }, 'tracing: option "messageLinks" must be a function, got an object'],
    [{ publicEndpoint: 'yes' }, 'tracing: option "publicEndpoint" must be true or false or a function, got "yes"'],
    [{ isError: true }, 'tracing: option "isError" must be a function, got true'],
    [{ recordExceptions: 'no' }, 'tracing: option "recordExceptions" must be true or false, got "no"'],
    [{ requestHook: 1 }, 'tracing: option "requestHook" must be a function, got 1'],
    [{ responseHook: null }, 'tracing: option "responseHook" must be a function, got null'],
    [{ tracerProvider: {} }, 'tracing: option "tracerProvider" must be a TracerProvider, got an object'],
    [{ propagator: () => 1 }, 'tracing: option "propagator" must be a TextMapPropagator, got a function'],
    [{ grpcTraceBin: 1 }, 'tracing: option "grpcTraceBin" must be true or false, got 1'],
    [{ target: '' }, 'tracing: option "target" must be a non-empty string, got ""'],
    [{ instrumentationGrpc: true }, 'tracing: option "instrumentationGrpc" must be one of yield, record, got true'],
    [{ onFailure: 1 }, 'tracing: option "onFailure" must be a function, got 1'],
    [null, 'tracing: options must be an object, got null'],
  ])('%j', (options, message) => {
    expect(() => tracing(options as TracingOptions)).toThrow(new TypeError(message))
  })

  it('a matcher that is malformed', () => {
    expect(() => tracing({ methods: 'a/b' })).toThrow(/^tracing: option "methods": malformed matcher/)
  })

  it('an option that is undefined counts as not given', () => {
    expect(() => tracing({ spanName: undefined } as unknown as TracingOptions)).not.toThrow()
  })
})
