import type { EventEmitter } from 'node:events'

const OVERDUE_MS = 10_000

/** As much of a call of grpc-js's as is needed. */
interface Watched extends EventEmitter {
  getPath(): string
}

/**
 * Handlers of one method that have returned without an answer, so that only their callback can give it. One of them may have
 * forgotten to return its response: that is said, once.
 */
export class OverdueAnswers {
  #told = false

  watch(call: Watched, isAnswered: () => boolean): void {
    if (this.#told) return
    const timer = setTimeout(() => {
      if (!isAnswered()) this.#tell(call.getPath())
    }, OVERDUE_MS)
    timer.unref()
    // grpc-js emits this at the end of any RPC.
    call.once('cancelled', () => clearTimeout(timer))
  }

  #tell(path: string): void {
    if (this.#told) return
    this.#told = true
    process.emitWarning(
      `A handler of ${path} has returned no response and not called its callback for ${OVERDUE_MS / 1000} seconds. One that ` +
        'declares no callback answers by returning the response, or a promise of it; one that declares it, by calling it. ' +
        'This is said once for a method.',
      { type: 'GrpcStackWarning', code: 'GRPC_STACK_NO_ANSWER' },
    )
  }
}
