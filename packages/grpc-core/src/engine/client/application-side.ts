import { AsyncResource } from 'node:async_hooks'
import type { InterceptingListener, Metadata, StatusObject } from '@grpc/grpc-js'
import { leaveFramesOut } from '../../grpc-js/failure-without-frames.ts'

/** How a call ends for the application. */
export interface Ending {
  /** Response metadata it has not seen yet. */
  readonly headers: Metadata | undefined
  /** The response of a method with a unary response, if there is one. */
  readonly response: { readonly message: unknown } | undefined
  readonly status: StatusObject
}

/** A streamed answer of an interceptor's own, until the application reads it. */
interface Answer {
  readonly message: unknown
  readonly taken: () => void
}

/**
 * The listener of the stub. Everything it hears passes here: in the context of the application that made the call, in
 * order, and nothing after the status.
 */
export class ApplicationSide extends AsyncResource {
  /** The application asked for a message and has not got one. */
  readWanted = false
  /** The status was delivered. */
  closed = false
  readonly #listener: Partial<InterceptingListener>
  #answers: Answer[] | undefined
  #ending: Ending | undefined

  constructor(listener: Partial<InterceptingListener>) {
    // grpc-js runs callbacks in whichever context opened the connection; applications expect their own.
    super('GRPC_STACK_CALL', NO_HOOKS)
    this.#listener = listener
  }

  metadata(metadata: Metadata): void {
    if (!this.closed) this.#hear('onReceiveMetadata', metadata)
  }

  message(message: unknown): void {
    if (this.closed) return
    this.readWanted = false
    this.#hear('onReceiveMessage', message)
  }

  /** Queues a message of an interceptor's own. Resolves when the application has read it. */
  answer(message: unknown): Promise<void> {
    if (this.closed) return Promise.resolve()
    return new Promise((taken) => {
      this.#answers ??= []
      this.#answers.push({ message, taken })
      if (this.readWanted) this.#deliverAnswer()
    })
  }

  /** The application asks for a message. Returns whether an answer was there for it. */
  read(): boolean {
    this.readWanted = true
    return this.#deliverAnswer()
  }

  /** How the call ends. The application learns it from `deliver`. */
  end(ending: Ending): void {
    this.#ending = ending
  }

  /** Ends the call in place of an end that still waits for answers to be read. */
  cutShort(status: StatusObject): void {
    if (this.closed || this.#ending === undefined) return
    this.dropAnswers()
    this.end({ headers: undefined, response: undefined, status })
    this.deliverSoon()
  }

  /**
   * Tells the application how the call ended, if it has and queued answers are read. Called with as little on the stack as
   * can be: grpc-js makes the error there, and an error costs more with each frame.
   */
  deliver(): void {
    const ending = this.#ending
    if (this.closed || ending === undefined || (this.#answers !== undefined && this.#answers.length > 0)) return
    this.closed = true
    if (ending.headers !== undefined) this.#hear('onReceiveMetadata', ending.headers)
    if (ending.response !== undefined) this.#hear('onReceiveMessage', ending.response.message)
    const { onReceiveStatus } = this.#listener
    if (onReceiveStatus === undefined) return
    const told = leaveFramesOut(onReceiveStatus, ending.status)
    try {
      this.runInAsyncScope(onReceiveStatus, this.#listener, ending.status)
    } finally {
      if (told) told()
    }
  }

  /** From a promise: what the application's callback throws must surface as its own exception, not as a rejection. */
  deliverSoon(): void {
    process.nextTick(() => this.deliver())
  }

  /** Drops the answers of interceptors that are not yet delivered, and lets the interceptors that gave them go on. */
  dropAnswers(): void {
    const answers = this.#answers
    this.#answers = undefined
    if (answers !== undefined) for (const { taken } of answers) taken()
  }

  #deliverAnswer(): boolean {
    const answer = this.#answers?.shift()
    if (answer === undefined) return false
    this.message(answer.message)
    answer.taken()
    this.deliver()
    return true
  }

  #hear<K extends keyof InterceptingListener>(event: K, value: Parameters<InterceptingListener[K]>[0]): void {
    const listener = this.#listener[event] as ((value: unknown) => void) | undefined
    if (listener !== undefined) this.runInAsyncScope(listener, this.#listener, value)
  }
}

const NO_HOOKS = { requireManualDestroy: true } as const
