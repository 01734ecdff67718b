import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

const everything = () =>
  tracing({
    attributes: () => ({ 'app.name': 'test' }),
    metadata: { requestHeaders: ['x-a'], responseHeaders: ['early'], responseTrailers: ['x-t'] },
    messageEvents: true,
    messageLinks: () => undefined,
    requestHook: () => undefined,
    responseHook: () => undefined,
    grpcTraceBin: true,
    semanticConventions: 'both',
  })

describe('with an SDK', () => {
  let log: SpanLog
  beforeAll(() => {
    log = registerSdk()
  })
  afterAll(() => {
    // The suite compares what applications see; that spans were made meanwhile is for here to say.
    expect(log.ended.length).toBeGreaterThan(100)
    expect(log.ended.length).toBe(log.started.length)
    unregisterSdk()
  })

  interceptorSuite('tracing', () => ({ client: tracing(), server: tracing(), adds: ['traceparent'] }))

  interceptorSuite('tracing with every option', () => ({
    client: [everything(), tracing({ per: 'attempt' })],
    server: everything(),
    adds: ['traceparent', 'grpc-trace-bin'],
  }))
})

describe('without an SDK', () => {
  interceptorSuite('tracing', () => tracing())
})

it('is called tracing, which is what a refusal would name', () => {
  expect(tracing().name).toBe('tracing')
})
