/** A fault to be put into grpc-core on purpose, to see whether the random RPCs find it. */
export interface Plant {
  /** Below `packages/grpc-core/src`. */
  readonly file: string
  readonly fault: string
  /** Must stand in the file exactly once. */
  readonly code: string
  readonly instead: string
  /** Why nothing an application can observe comes of it. */
  readonly harmless?: string
}

const APPLICATION_SIDE = 'engine/client/application-side.ts'
const REQUEST_SENDER = 'engine/client/request-sender.ts'
const SERVER_CALL = 'engine/server/server-call.ts'

export const plants: readonly Plant[] = [
  {
    file: 'engine/stack-run.ts',
    fault: 'a status that travels outward is not told to taps',
    code: '    this.taps?.status(status, outer, from, this.#terminal)\n    this.#terminal.reached(outer)\n',
    instead: '    this.#terminal.reached(outer)\n',
  },
  {
    file: 'engine/stack-run.ts',
    fault: 'a cancel or a deadline does not speak for an interceptor that hangs',
    code: '    setImmediate(() => this.#speakFor(outside, status, block))\n  }\n\n  /** The layer',
    instead:
      '    if (outside !== -1) setImmediate(() => this.#speakFor(outside, status, block))\n  }\n\n  /** The layer',
  },
  {
    file: APPLICATION_SIDE,
    fault: 'headers after the status',
    code: "    if (!this.closed) this.#hear('onReceiveMetadata', metadata)\n",
    instead: "    setTimeout(() => this.#hear('onReceiveMetadata', metadata), 100)\n",
  },
  {
    file: APPLICATION_SIDE,
    fault: 'response headers are held back for 20 ms',
    code: "    if (!this.closed) this.#hear('onReceiveMetadata', metadata)\n",
    instead: "    setTimeout(() => this.closed || this.#hear('onReceiveMetadata', metadata), 20)\n",
  },
  {
    file: APPLICATION_SIDE,
    fault: 'the status is told in the context of the connection',
    code: 'this.runInAsyncScope(onReceiveStatus, this.#listener, ending.status)',
    instead: 'onReceiveStatus.call(this.#listener, ending.status)',
  },
  {
    file: APPLICATION_SIDE,
    fault: 'headers and messages are told in the context of the connection',
    code: 'this.runInAsyncScope(listener, this.#listener, value)',
    instead: 'listener.call(this.#listener, value)',
  },
  {
    file: APPLICATION_SIDE,
    fault: 'a status with a property more',
    code: 'this.runInAsyncScope(onReceiveStatus, this.#listener, ending.status)',
    instead: 'this.runInAsyncScope(onReceiveStatus, this.#listener, Object.assign({ more: 1 }, ending.status))',
  },
  {
    file: APPLICATION_SIDE,
    fault: 'messages are let through after the status',
    code: '    if (this.closed) return\n    this.readWanted = false\n',
    instead: '    this.readWanted = false\n',
    harmless: 'an attempt drops its events once it has ended, so none comes here',
  },
  {
    file: REQUEST_SENDER,
    fault: 'a half-close that has waited is lost',
    code: '    this.#halfClosed = true\n',
    instead: '    this.#halfClosed = this.#owner.attempt !== undefined\n',
  },
  {
    file: REQUEST_SENDER,
    fault: 'a write is answered twice',
    code: '    if (written !== undefined) this.#owner.application.runInAsyncScope(written)\n    this.pump()\n',
    instead:
      '    for (const told of [written, written]) if (told !== undefined) this.#owner.application.runInAsyncScope(told)\n    this.pump()\n',
  },
  {
    file: REQUEST_SENDER,
    fault: 'several requests in flight at once',
    code: '!attempt.ended && !attempt.writing\n',
    instead: '!attempt.ended\n',
  },
  {
    file: 'engine/client/request-log.ts',
    fault: 'of what is kept for another attempt, only two messages are sent again',
    code: '    this.cursor = 0\n  }\n}\n',
    instead: '    this.cursor = 0\n    this.entries.splice(2)\n  }\n}\n',
  },
  {
    file: 'engine/client/client-call.ts',
    fault: 'the request in flight at the end is confirmed, whether it serialized or not',
    code: '    this.requests.end()\n',
    instead:
      '    const written = attempts.current?.takeWritten()\n    if (written) process.nextTick(written)\n    this.requests.end()\n',
  },
  {
    file: 'engine/client/attempt-runner.ts',
    fault: 'read credit given before the start is lost',
    code: '    if (application.readWanted) attempt.call.startRead()\n',
    instead: '    if (application.readWanted && this.committed) attempt.call.startRead()\n',
  },
  {
    file: 'engine/server/response-sender.ts',
    fault: "the handler's trailers are lost",
    code: 'let metadata: Metadata | null = status.metadata ?? null\n',
    instead: 'let metadata: Metadata | null = null\n',
  },
  {
    file: 'engine/server/response-sender.ts',
    fault: 'headers leave before the message is known to serialize',
    code: '      this.#connection.sendMessage(tapped, callback, headers)\n',
    instead:
      '      if (headers !== undefined) this.#base.sendMetadata(headers)\n      this.#connection.sendMessage(tapped, callback, undefined)\n',
  },
  {
    file: SERVER_CALL,
    fault: 'a cancelled RPC is not over for interceptors',
    code: '    if (!this.#over) {\n',
    instead: '    if (!this.#over && this.run.finished) {\n',
  },
  {
    file: SERVER_CALL,
    fault: 'the handler is not told that its RPC was cancelled',
    code: '    this.#handlerScope?.runInAsyncScope(this.#handler.onCancel, this.#handler)\n',
    instead:
      '    if (this.#final !== undefined) this.#handlerScope?.runInAsyncScope(this.#handler.onCancel, this.#handler)\n',
  },
  {
    file: 'objects/handler-run.ts',
    fault: 'a response that was not sent is confirmed to a handler that an interceptor object wraps',
    code: '        if (this.#ended) return\n      } else if',
    instead: '      } else if',
    harmless:
      'an iterator is told to return when the RPC ends, which is before it could be asked for the next response',
  },
  {
    file: 'entry/response-pump.ts',
    fault: 'a generator is not told to return when its RPC is over',
    code: '    await wait.unlessEnded(wait.drained())\n  }\n  close(responses)\n',
    instead:
      '    await wait.unlessEnded(wait.drained())\n  }\n  if (!wait.ended && !call.cancelled) close(responses)\n',
  },
  {
    file: 'entry/response-pump.ts',
    fault: 'what a generator throws ends its RPC with OK',
    code: '      message = isThenable(value) ? await wait.unlessEnded(value) : value\n    } catch (error) {\n      fail(error)\n',
    instead:
      '      message = isThenable(value) ? await wait.unlessEnded(value) : value\n    } catch {\n      call.end()\n',
  },
  {
    file: 'entry/stream-handler.ts',
    fault: 'the end of a loop over requests destroys the stream of responses',
    code: 'iterator.call(call, { destroyOnReturn: false, ...options })',
    instead: 'iterator.call(call, options)',
  },
  {
    file: 'entry/handler-error.ts',
    fault: 'the trailers of what a handler throws are lost',
    code: 'usable.clone())',
    instead: 'newMetadata())',
  },
  {
    file: 'objects/message-source.ts',
    fault: 'what a consumer leaves counts as taken',
    code: '    this.#deliver()\n    if (early) this.#events.left?.()\n',
    instead: '    this.#release()\n    this.#deliver()\n    if (early) this.#events.left?.()\n',
  },
]
