import { describe, expect, it } from 'vitest'
import { type TracingOptions, tracing } from './index.ts'

describe('options that are wrong', () => {
  it.each([
    [{ sampler: 1 }, 'tracing: unknown option "sampler"; known are methods, per,'],
    [{ message_events: 1 }, 'tracing: unknown option "message_events"; did you mean "messageEvents"?'],
    [{ per: 'attempts' }, 'tracing: option "per" must be "call" or "attempt", got "attempts"'],
    [{ spanName: 'x' }, 'tracing: option "spanName" must be a function, got "x"'],
    [{ attributes: 'x' }, 'tracing: option "attributes" must be an object or a function, got "x"'],
    [
      { semanticConventions: 'old' },
      'tracing: option "semanticConventions" must be "stable", "legacy" or "both", got "old"',
    ],
    [{ metadata: ['x'] }, 'tracing: option "metadata" must be an object, got a list'],
    [{ metadata: { request: ['x'] } }, 'tracing: option "metadata": unknown option "request"; '],
    [
      { metadata: { requestHeaders: 'x' } },
      'tracing: option "metadata.requestHeaders" must be a list of metadata keys, got "x"',
    ],
    [
      { metadata: { responseTrailers: ['a b'] } },
      'tracing: option "metadata.responseTrailers[0]" must be a metadata key, got "a b"',
    ],
    [{ messageEvents: 1 }, 'tracing: option "messageEvents" must be true or false, got 1'],
    [{ links: [] }, 'tracing: option "links" must be a function, got an empty list'],
    [{ messageLinks: {} }, 'tracing: option "messageLinks" must be a function, got an object'],
    [{ publicEndpoint: 'yes' }, 'tracing: option "publicEndpoint" must be true, false or a function, got "yes"'],
    [{ isError: true }, 'tracing: option "isError" must be a function, got true'],
    [{ recordExceptions: 'no' }, 'tracing: option "recordExceptions" must be true or false, got "no"'],
    [{ requestHook: 1 }, 'tracing: option "requestHook" must be a function, got 1'],
    [{ responseHook: null }, 'tracing: option "responseHook" must be a function, got null'],
    [{ tracerProvider: {} }, 'tracing: option "tracerProvider" must be a TracerProvider, got an object'],
    [{ propagator: { inject: () => 1 } }, 'tracing: option "propagator" must be a TextMapPropagator, got an object'],
    [{ grpcTraceBin: 1 }, 'tracing: option "grpcTraceBin" must be true or false, got 1'],
    [{ target: '' }, 'tracing: option "target" must be a non-empty string, got ""'],
    [{ instrumentationGrpc: true }, 'tracing: option "instrumentationGrpc" must be "yield" or "record", got true'],
    [{ onFailure: 1 }, 'tracing: option "onFailure" must be a function, got 1'],
    [null, 'tracing: options must be an object, got null'],
    // Left out, the one trusts callers and the other records more: written out as undefined they are a mistake.
    [
      { publicEndpoint: undefined },
      'tracing: option "publicEndpoint" must be true, false or a function, got undefined; ',
    ],
    [{ recordExceptions: undefined }, 'tracing: option "recordExceptions" must be true or false, got undefined; '],
  ])('%j', (options, message) => {
    expect(() => tracing(options as TracingOptions)).toThrow(TypeError)
    expect(() => tracing(options as TracingOptions)).toThrow(message)
  })

  it('a matcher that is malformed', () => {
    expect(() => tracing({ methods: 'a/b' })).toThrow(/^tracing: option "methods": malformed matcher/)
  })

  it('an option that is undefined counts as not given, where that shows nothing more', () => {
    expect(() => tracing({ spanName: undefined } as unknown as TracingOptions)).not.toThrow()
  })
})
