import type { EventEmitter } from 'node:events'
import type { Metadata } from '@grpc/grpc-js'
import { contextStorage } from '../contract/context.ts'
import { credentialScrubber } from '../contract/credential-text.ts'
import { OnceAMinute } from '../runtime/once-a-minute.ts'
import { errorText } from '../runtime/show.ts'
import { frames, onOneLine } from '../runtime/warning-text.ts'

/** As much of a call of grpc-js's as is needed. */
interface Answered extends EventEmitter {
  readonly metadata: Metadata
  getPath(): string
}

/**
 * What handlers of one method throw once they have answered. The answer stands, so that the caller cannot hear of it; a process
 * warning tells, once a minute.
 */
export class LateExceptions {
  readonly #reports = new OnceAMinute()

  report(error: unknown, call: Answered): void {
    const more = this.#reports.admit()
    if (more === undefined) return
    // Where there are interceptors that know more of the credentials than their names, there is a context.
    const known = contextStorage()?.getStore()?.serverCall ?? call
    const text = onOneLine(credentialScrubber(known, call.metadata)(errorText(error)))
    process.emitWarning(
      `A handler of ${call.getPath()} has failed after it had answered, which changes nothing for its caller: ${text}.${more}`,
      { type: 'GrpcStackWarning', code: 'GRPC_STACK_LATE_EXCEPTION', ...frames(error) },
    )
  }
}
