import type { ServerDuplexStream, ServerErrorResponse, ServerReadableStream, ServerWritableStream } from '@grpc/grpc-js'
import { isThenable } from '../runtime/thenable.ts'
import { handlerError } from './handler-error.ts'
import type { AnyHandler } from './handler-types.ts'
import { isIncidental } from './incidental.ts'
import { LateExceptions } from './late-exceptions.ts'
import { pumpResponses, type Responses } from './response-pump.ts'

type StreamCall = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>

/**
 * A handler of RPCs with a stream of responses. It writes them to the call and ends it, or returns or promises an iterable of
 * them. Anything else that it returns is ignored, and so is what it returns once it has ended the call.
 */
export function adaptStream(handler: AnyHandler, reads: boolean): AnyHandler {
  const run = handler as (call: StreamCall) => unknown
  const late = new LateExceptions()
  return (call: StreamCall) => {
    const fail = guardErrors(call, late)
    const returned = (value: unknown): void => {
      try {
        if (call.writableEnded) return
        const responses = responsesIn(value)
        if (responses !== undefined) void pumpResponses(responses, call, fail)
      } catch (error) {
        fail(error) // a getter's, or of an iterable that cannot be iterated
      }
    }
    if (reads) iterateSafely(call as ServerDuplexStream<unknown, unknown>)
    try {
      const result = run(call)
      if (isThenable(result)) result.then(returned, fail)
      else returned(result)
    } catch (error) {
      fail(error)
    }
  }
}

/** Node's own iterator destroys the stream when the requests end, and with it the response. */
export function iterateSafely(
  call: ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
): void {
  const iterator = call.iterator
  // Whether the loop asks for it, or the handler returns `call.iterator()` as its responses.
  call.iterator = (options) => iterator.call(call, { destroyOnReturn: false, ...options })
  call[Symbol.asyncIterator] = () => call.iterator() as AsyncGenerator<unknown>
}

function responsesIn(value: unknown): Responses | undefined {
  if (typeof value !== 'object' || value === null || isIncidental(value)) return undefined
  const iterable = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>
  return iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.()
}

/**
 * Between the handler's 'error' events and grpc-js's own listener, which would send their text, and which would put what comes after
 * `call.end()` in the place of OK while messages are on their way. A destroyed stream never runs the `_final` in which grpc-js sends
 * the status (server-call.ts, 1.14): then it is sent here.
 */
function guardErrors(call: StreamCall, late: LateExceptions): (error: unknown) => void {
  const emitter: NodeJS.EventEmitter = call
  const [builtIn] = emitter.listeners('error')
  // What grpc-js's call objects send through; private in its types.
  const grpcJsCall = (call as unknown as { call: { sendStatus(status: ServerErrorResponse): void } }).call
  let failure: { readonly error: unknown; readonly status: ServerErrorResponse } | undefined
  if (builtIn) emitter.removeListener('error', builtIn as () => void)
  emitter.on('error', (error: unknown) => {
    if (failure === undefined && hasAnswered(call)) {
      late.report(error, call)
      return
    }
    failure ??= { error, status: handlerError(error) }
    if (call.destroyed) grpcJsCall.sendStatus(failure.status)
    else builtIn?.call(call, failure.status)
  })
  emitter.once('close', () => {
    if (call.writableFinished) return
    const { status } = failure ?? {
      status: handlerError(new Error('The handler destroyed its stream without ending it')),
    }
    grpcJsCall.sendStatus(status)
  })
  return (error) => {
    if (failure?.error === error) return
    if (hasAnswered(call)) late.report(error, call)
    else if (!call.destroyed) {
      failure = { error, status: handlerError(error) }
      emitter.emit('error', failure.status)
    }
  }
}

/** A stream that is destroyed before everything has left is no answer. */
function hasAnswered(call: StreamCall): boolean {
  return call.writableFinished || (call.writableEnded && !call.destroyed)
}
