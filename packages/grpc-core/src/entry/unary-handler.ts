import type { ServerReadableStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js'
import { isAbsent, isMetadata } from '../contract/given-status.ts'
import { notMetadata } from '../engine/answer.ts'
import { isThenable } from '../runtime/thenable.ts'
import { handlerError } from './handler-error.ts'
import type { AnyHandler } from './handler-types.ts'
import { isIncidental } from './incidental.ts'
import { LateExceptions } from './late-exceptions.ts'
import { OverdueAnswers } from './overdue-answers.ts'
import { iterateSafely } from './stream-handler.ts'

type UnaryCall = ServerUnaryCall<unknown, unknown> | ServerReadableStream<unknown, unknown>

/**
 * A handler of RPCs with one response. By what it declares (`length`, which counts parameters before the first one with a default
 * or a rest):
 *
 * | declares | answers by |
 * |---|---|
 * | the callback | its callback alone; what it returns is ignored |
 * | the call | what it returns or promises; INTERNAL for a promise of nothing |
 * | nothing | what it returns or promises, or else its callback, which a wrapper with rest parameters passes on |
 *
 * The first answer counts. Throwing, or rejecting, is an answer in every style; after another, it is reported.
 */
export function adaptUnary(handler: AnyHandler, reads: boolean): AnyHandler {
  const declared = handler.length
  const run = handler as (call: UnaryCall, callback: sendUnaryData<unknown>) => unknown
  const overdue = new OverdueAnswers()
  const late = new LateExceptions()
  return (call: UnaryCall, callback: sendUnaryData<unknown>) => {
    let answered = false
    let failure: unknown
    const respond: sendUnaryData<unknown> = (error, value, trailer, flags) => {
      if (answered) return
      answered = true
      failure = error
      if (!isAbsent(trailer) && !isMetadata(trailer)) callback(handlerError(notMetadata('callback', trailer)), null)
      else if (error) callback(handlerError(error, trailer ?? undefined), null, undefined, flags)
      else callback(null, value, trailer, flags)
    }
    const fail = (error: unknown): void => respond(handlerError(error))
    const threw = (error: unknown): void => {
      if (!answered) fail(error)
      else if (error !== failure) late.report(error, call)
    }
    const returned = (value: unknown, promised: boolean): void => {
      if (answered) return
      const response = declared < 2 && value !== undefined && !isIncidental(value)
      if (response) respond(null, value)
      else if (declared === 1 && promised) fail(new Error('The handler returned no response'))
      else if (declared === 1 || promised) overdue.watch(call, () => answered)
    }
    if (reads) iterateSafely(call as ServerReadableStream<unknown, unknown>)
    try {
      const result = run(call, respond)
      if (isThenable(result)) result.then((value) => returned(value, true), threw)
      else returned(result, false)
    } catch (error) {
      threw(error)
    }
  }
}
