import { describe, expect, it } from 'vitest'
import { logging } from './logging.ts'
import { requestId } from './request-id.ts'

describe('options are checked when the interceptor is made', () => {
  it('undefined is as left out where that shows nothing more', () => {
    const given = { logger: undefined, payload: undefined, metadata: undefined, levels: undefined, sample: undefined }
    expect(() => logging(given as never)).not.toThrow()
  })

  it.each([
    [{ loger: console }, 'logging: unknown option "loger"; did you mean "logger"?'],
    [{ logger: { info: () => undefined } }, 'option "logger" must be an object with debug, info, warn and error'],
    [{ start: 1 }, 'option "start" must be true or false, got 1'],
    [{ slowMs: -1 }, 'option "slowMs" must be a number of milliseconds ≥ 0, got -1'],
    [{ slowMs: '1s' }, 'option "slowMs"'],
    [{ sample: 2 }, 'option "sample" must be a number from 0 to 1, got 2'],
    [{ sample: Number.NaN }, 'option "sample"'],
    [{ fields: {} }, 'option "fields" must be a function, got an object'],
    [{ omit: 'protocol' }, 'option "omit" must be a list of names'],
    [{ metadata: 'x' }, 'option "metadata" must be a list of names'],
    [{ metadata: [''] }, 'option "metadata[0]" must be a non-empty string'],
    [{ payload: 1 }, 'option "payload" must be true, false or an object'],
    [{ payload: { maxSize: 1 } }, 'option "payload": unknown option "maxSize"'],
    [{ payload: { maxBytes: 0 } }, 'option "payload.maxBytes" must be an integer ≥ 1, got 0'],
    [{ payload: { maxMessages: 1.5 } }, 'option "payload.maxMessages" must be an integer ≥ 1, got 1.5'],
    [{ payload: { requests: 'no' } }, 'option "payload.requests" must be true or false'],
    [{ payload: { responses: 'no' } }, 'option "payload.responses" must be true or false'],
    [{ payload: { redact: 'password' } }, 'option "payload.redact" must be a list of paths or a function'],
    [{ payload: { redact: ['a..b'] } }, 'option "payload.redact"[0]'],
    [{ payload: { methods: '' } }, 'option "payload.methods"'],
    [{ sizeOf: 1 }, 'option "sizeOf" must be a function'],
    [{ traceContext: 1 }, 'option "traceContext" must be a function'],
    [{ clock: {} }, 'option "clock" must be an object with now()'],
    [{ random: 1 }, 'option "random" must be a function'],
    [{ onFailure: 1 }, 'option "onFailure" must be a function'],
    [null, 'options must be an object'],
    // Left out, these show more: written out as undefined they are a mistake.
    [
      { payload: { redact: undefined } },
      '"payload.redact" must be a list of paths or a function, got undefined; leave it out',
    ],
    [
      { payload: { methods: undefined } },
      '"payload.methods" must be a matcher of methods, got undefined; leave it out',
    ],
    [{ payload: { requests: undefined } }, 'option "payload.requests" must be true or false, got undefined'],
    [{ payload: { responses: undefined } }, 'option "payload.responses" must be true or false, got undefined'],
    [{ omit: undefined }, 'option "omit" must be a list of names, got undefined; leave it out to omit nothing'],
  ])('logging(%j)', (options, message) => {
    expect(() => logging(options as never)).toThrow(TypeError)
    expect(() => logging(options as never)).toThrow(message)
  })

  it.each([
    [{ headers: 'x' }, 'requestId: unknown option "headers"'],
    [{ header: 'x-id-bin' }, 'option "header" must be a text metadata key'],
    [{ header: 'grpc-id' }, 'option "header"'],
    [{ header: 'x id' }, 'option "header"'],
    [{ header: 7 }, 'option "header"'],
    [{ generate: 'uuid' }, 'option "generate" must be a function'],
    [{ onFailure: 1 }, 'option "onFailure" must be a function'],
    [{ accept: 'yes' }, 'option "accept" must be true, false or a function'],
    [{ accept: undefined }, 'option "accept" must be true, false or a function, got undefined; leave it out'],
  ])('requestId(%j)', (options, message) => {
    expect(() => requestId(options as never)).toThrow(TypeError)
    expect(() => requestId(options as never)).toThrow(message)
  })
})
