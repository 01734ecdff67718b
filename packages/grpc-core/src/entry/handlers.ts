import {
  status as Code,
  type Metadata,
  type ServerDuplexStream,
  type ServerErrorResponse,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { isCode, isMetadata, type RpcError } from '../contract/status.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { rememberCause } from '../grpc-js/wire-error.ts'
import { isThenable } from '../runtime/thenable.ts'

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
      if (error) callback(wireError(error), null, trailer, flags)
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
        result.then(returned, (error: unknown) => respond(thrownError(error)))
        return
      }
    } catch (error) {
      respond(thrownError(error))
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
        result.then(undefined, (error: unknown) => fail(thrownError(error)))
        return
      }
      const iterator = iteratorOf(result)
      if (iterator) void pump(iterator, call, fail)
    } catch (error) {
      fail(thrownError(error))
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
    failure ??= wireError(error)
    if (call.destroyed) wire.sendStatus(failure)
    else builtIn?.call(call, failure)
  })
  emitter.once('close', () => {
    if (!call.writableFinished) {
      wire.sendStatus(failure ?? wireError(new Error('The handler destroyed its stream without ending it')))
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
    fail(thrownError(error))
    return
  }
  // Runs the generator's `finally`; one that is busy gets to it when its current step is done.
  try {
    await responses.return?.()
  } catch {
    // The RPC has ended: there is nobody to tell.
  }
}

/** What a handler threw. Unless it meant a status, its text is not for the peer. */
function thrownError(error: unknown): ServerErrorResponse {
  return wireError(error instanceof Error || typeof error === 'object' ? error : new Error(String(error)))
}

/**
 * An error as grpc-js sends it. Meant as statuses: `RpcError`, errors and plain objects with a status code from 1 to 16
 * (grpc-js's convention), plain objects with details and no code. All others become INTERNAL without their text.
 */
function wireError(error: unknown): ServerErrorResponse {
  if (error instanceof WireError) return error
  try {
    return readError(error)
  } catch {
    // A getter's, or of a text that cannot be made.
    const metadata = newMetadata()
    rememberCause(metadata, error)
    return answer(Code.INTERNAL, 'Internal error', metadata)
  }
}

function readError(error: unknown): ServerErrorResponse {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Partial<RpcError>
  // Trailers of a call this server made are between it and that server: its pushback, say, is not for our caller.
  const own = given.origin !== 'remote' && isMetadata(given.metadata)
  const metadata = own ? (given.metadata as Metadata).clone() : newMetadata()
  rememberCause(metadata, error)
  if (isCode(given.code) && given.code !== Code.OK) {
    return answer(given.code, given.details ?? given.message ?? '', metadata)
  }
  const deliberate = !(error instanceof Error) && given.code === undefined && typeof given.details === 'string'
  if (deliberate) return answer(Code.UNKNOWN, given.details ?? '', metadata)
  return answer(Code.INTERNAL, 'Internal error', metadata)
}

function answer(code: Code, details: unknown, metadata: Metadata): ServerErrorResponse {
  const text = typeof details === 'string' ? details : String(details)
  return new WireError(text, code, metadata)
}

/**
 * An error that has been made fit for the wire: passing it on again changes nothing. Not an `Error`, since its stack
 * would cost more than the rest of the call.
 */
class WireError implements ServerErrorResponse {
  readonly name = 'WireError'
  readonly message: string
  readonly details: string
  readonly code: Code
  readonly metadata: Metadata

  constructor(details: string, code: Code, metadata: Metadata) {
    this.message = details
    this.details = details
    this.code = code
    this.metadata = metadata
  }
}

function iteratorOf(value: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const iterable = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>
  return iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.()
}
