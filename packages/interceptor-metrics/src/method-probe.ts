import { status as Code } from '@grpc/grpc-js'
import type { Call, MessageTap, MethodInfo, Pattern, Status } from '@grpc-stack/grpc-core'
import type { Containment } from './containment.ts'
import type { MeasuredMethod, MessageSizes, MethodRecorder, MethodType, Recorder } from './recorder.ts'

export const methodTypes: Readonly<Record<Pattern, MethodType>> = Object.freeze({
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
  unknown: 'unknown',
})

/** A method as recorders know it. Whatever callers can mint is `other`. */
export function measuredMethod(
  side: 'client' | 'server',
  per: 'call' | 'attempt',
  method: MethodInfo,
  target: string | undefined,
): MeasuredMethod {
  const { registered } = method
  return Object.freeze({
    side,
    // To a server every attempt is a call.
    per: side === 'server' ? 'call' : per,
    path: registered ? method.path : 'other',
    service: registered ? method.service : 'other',
    name: registered ? method.name : 'other',
    type: methodTypes[method.pattern],
    target,
  })
}

/** What the probes of an interceptor have in common. */
export interface ProbeSettings {
  readonly contained: Containment
  readonly now: () => number
  readonly sizeOf: ((message: unknown) => number) | undefined
}

/**
 * Measures the calls of one method. Made once per method and stack; a call costs one closure here, and none per message
 * unless sizes are wanted.
 *
 * The messages of a unary call are not looked at, but told by how the call ended: one each way, no request if an interceptor
 * refused it, no response if it failed.
 */
export class MethodProbe {
  readonly #settings: ProbeSettings
  readonly #recorder: MethodRecorder | undefined
  readonly #unary: boolean
  readonly #client: boolean
  readonly #countSent: MessageTap | undefined
  readonly #countReceived: MessageTap | undefined

  constructor(settings: ProbeSettings, recorder: Recorder, method: MeasuredMethod) {
    this.#settings = settings
    try {
      this.#recorder = recorder.method(method)
    } catch (error) {
      settings.contained.failed(error, 'recorder')
    }
    this.#unary = method.type === 'unary'
    this.#client = method.side === 'client'
    this.#countSent = this.#counter('sent')
    this.#countReceived = this.#counter('received')
  }

  /** Before `next()`. */
  watch(call: Call): void {
    const recorder = this.#recorder
    if (recorder === undefined) return
    const { contained, now, sizeOf } = this.#settings
    try {
      recorder.started(call)
    } catch (error) {
      contained.failed(error, 'recorder')
    }
    if (!this.#unary) this.#tap(call, this.#countSent, this.#countReceived)
    const sizes = sizeOf && this.#measureSizes(call)
    const startedAt = now()
    call.onStatus((status) => this.#ended(call, status, startedAt, sizes))
  }

  #ended(call: Call, status: Status, startedAt: number, sizes: MessageSizes | undefined): void {
    // A clock that fails or runs backwards must not make negative or endless calls.
    const passed = this.#settings.now() - startedAt
    const durationMs = passed > 0 && Number.isFinite(passed) ? passed : 0
    if (this.#unary) this.#countUnary(status)
    try {
      this.#recorder?.ended(call, status, durationMs, sizes)
    } catch (error) {
      this.#settings.contained.failed(error, 'recorder')
    }
  }

  #countUnary({ code, refusedBy }: Status): void {
    const [request, response] = this.#client
      ? [this.#countSent, this.#countReceived]
      : [this.#countReceived, this.#countSent]
    if (refusedBy === undefined) request?.(undefined)
    if (code === Code.OK) response?.(undefined)
  }

  #tap(call: Call, sent: MessageTap | undefined, received: MessageTap | undefined): void {
    const [requests, responses] = this.#client ? [sent, received] : [received, sent]
    if (requests !== undefined) call.onRequest(requests)
    if (responses !== undefined) call.onResponse(responses)
  }

  #counter(name: 'sent' | 'received'): MessageTap | undefined {
    const recorder = this.#recorder
    if (typeof recorder?.[name] !== 'function') return undefined
    const { contained } = this.#settings
    return () => {
      try {
        recorder[name]?.()
      } catch (error) {
        contained.failed(error, 'recorder')
      }
    }
  }

  #measureSizes(call: Call): MessageSizes {
    const sizes = { sent: 0, received: 0 }
    const { sizeOf, contained } = this.#settings
    const adder =
      (name: 'sent' | 'received'): MessageTap =>
      (message) => {
        try {
          const bytes = sizeOf?.(message)
          if (typeof bytes === 'number' && Number.isFinite(bytes)) sizes[name] += bytes
        } catch (error) {
          contained.failed(error, 'sizeOf')
        }
      }
    this.#tap(call, adder('sent'), adder('received'))
    return sizes
  }
}
