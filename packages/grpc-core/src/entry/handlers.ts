import type {
  ServerDuplexStream,
  ServerErrorResponse,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js'
import { isAbsent, isMetadata } from '../contract/given-status.ts'
import { notMetadata } from '../engine/answer.ts'
import { isThenable } from '../runtime/thenable.ts'
import { handlerError } from './handler-error.ts'

type UnaryCall = ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>
type StreamCall = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>
export type AnyHandler = (call: never, callback: never) => unknown
export type HandlerType = 'unary' | 'clientStream' | 'serverStream' | 'bidi'

/**
 * A handler of any style as one of grpc-js's: whatever it throws, rejects with or yields becomes a status, and text
 * of errors that were not meant as statuses stays here.
 */
export function adaptHandler(handler: AnyHandler, type: HandlerType): AnyHandler {
  if (type === 'unary' || type === 'clientStream') return adaptUnary(handler, type === 'clientStream')
  return adaptStream(handler, type === 'bidi')
}

function adaptUnary(handler: AnyHandler, reads: boolean): AnyHandler {
  const takesCallback = handler.length >= 2
  const run = handler as (call: UnaryCall, callback: sendUnaryData<unknown>) => unknown
  return (call: UnaryCall, callback: sendUnaryData<unknown>) => {
    let answered = false
    const respond: sendUnaryData<unknown> = (error, value, trailer, flags) => {
      if (answered) return
      answered = true
      if (!isAbsent(trailer) && !isMetadata(trailer)) callback(handlerError(notMetadata('callback', trailer)), null)
      else if (error) callback(handlerError(error, trailer ?? undefined), null, undefined, flags)
      else callback(null, value, trailer, flags)
    }
    const returned = (value: unknown): void => {
      if (value !== undefined) respond(null, value)
      else if (!takesCallback) respond(new Error('The handler returned no response'))
    }
    if (reads) iterateSafely(call as ServerReadableStream<unknown, unknown>)
    let result: unknown
    try {
      result = run(call, respond)
      if (isThenable(result)) {
        result.then(returned, (error: unknown) => respond(handlerError(error)))
        return
      }
    } catch (error) {
      respond(handlerError(error))
      return
    }
    if (result !== undefined && !takesCallback) returned(result)
  }
}

function adaptStream(handler: AnyHandler, reads: boolean): AnyHandler {
  const run = handler as (call: StreamCall) => unknown
  return (call: StreamCall) => {
    const fail = guardErrors(call)
    if (reads) iterateSafely(call as ServerDuplexStream<unknown, unknown>)
    try {
      const result = run(call)
      if (isThenable(result)) {
        result.then(undefined, (error: unknown) => fail(handlerError(error)))
        return
      }
      const iterator = iteratorOf(result)
      if (iterator) void pump(iterator, call, fail)
    } catch (error) {
      fail(handlerError(error))
    }
  }
}

/**
 * Between the handler's 'error' events and grpc-js's own listener, which would send their text. A destroyed stream
 * never runs the `_final` in which grpc-js sends the status (server-call.ts, 1.14): then it is sent here.
 */
function guardErrors(call: StreamCall): (error: ServerErrorResponse) => void {
  const emitter: NodeJS.EventEmitter = call
  const [builtIn] = emitter.listeners('error')
  // What grpc-js's call objects send through; private in its types.
  const wire = (call as unknown as { call: { sendStatus(status: ServerErrorResponse): void } }).call
  let failure: ServerErrorResponse | undefined
  if (builtIn) emitter.removeListener('error', builtIn as () => void)
  emitter.on('error', (error: unknown) => {
    failure ??= handlerError(error)
    if (call.destroyed) wire.sendStatus(failure)
    else builtIn?.call(call, failure)
  })
  emitter.once('close', () => {
    if (!call.writableFinished) {
      wire.sendStatus(failure ?? handlerError(new Error('The handler destroyed its stream without ending it')))
    }
  })
  return (error) => {
    if (!call.destroyed) emitter.emit('error', error)
  }
}

/** Node's own iterator destroys the stream when the requests end, and with it the response. */
function iterateSafely(call: ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>): void {
  call[Symbol.asyncIterator] = () => call.iterator({ destroyOnReturn: false }) as AsyncGenerator<unknown>
}

/** Writes what the handler yields, no faster than the peer reads, and stops when the RPC does. */
async function pump(
  responses: Iterator<unknown> | AsyncIterator<unknown>,
  call: StreamCall,
  fail: (error: ServerErrorResponse) => void,
): Promise<void> {
  let close: ((how: 'closed') => void) | undefined
  const closed = new Promise<'closed'>((resolve) => {
    close = resolve
  })
  call.once('close', () => {
    close?.('closed')
    // Node 20 and 22 were seen to keep this listener until the next full garbage collection, and a promise leads to the
    // AsyncLocalStorage store it was made in.
    close = undefined
  })
  try {
    for (;;) {
      const item = await Promise.race([responses.next(), closed])
      if (item === 'closed' || call.cancelled) break
      if (item.done) {
        call.end()
        return
      }
      if (call.write(item.value)) continue
      await Promise.race([new Promise((resolve) => call.once('drain', resolve)), closed])
    }
  } catch (error) {
    fail(handlerError(error))
    return
  }
  // Runs the generator's `finally`; one that is busy gets to it when its current step is done.
  try {
    await responses.return?.()
  } catch {
    // The RPC has ended: there is nobody to tell.
  }
}

function iteratorOf(value: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const iterable = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>
  return iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.()
}
