import { status as Code } from '@grpc/grpc-js'
import type { Call, Status } from '@grpc-stack/grpc-core'
import type { CallRecord, Containment, Observation } from '@grpc-stack/grpc-core/authoring'
import type { MeasuredMethod, MessageSizes, MethodRecorder, Recorder } from './recorder.ts'

/** Where something foreign failed. */
export type FailurePlace = 'clock' | 'recorder' | 'sizeOf'

/** What the observations of an interceptor have in common. */
export interface MeasureSettings {
  readonly contained: Containment<FailurePlace>
  readonly sizeOf: ((message: unknown) => number) | undefined
}

type CountMessage = () => void

/**
 * Measures the calls of one method. Made once per method and stack: what differs from call to call is in the call's record.
 *
 * The messages of a unary call are not looked at, but told by how the call ended: one each way, no request if an interceptor
 * refused it, no response if it failed.
 */
export class MethodObservation implements Observation {
  /** Where messages are looked at. */
  readonly request?: CountMessage
  readonly response?: CountMessage
  readonly #settings: MeasureSettings
  readonly #recorder: MethodRecorder
  readonly #client: boolean
  /** Of a unary call. */
  readonly #countRequest: CountMessage | undefined
  readonly #countResponse: CountMessage | undefined

  constructor(settings: MeasureSettings, recorder: MethodRecorder, { type, side }: MeasuredMethod) {
    this.#settings = settings
    this.#recorder = recorder
    this.#client = side === 'client'
    const sent = this.#counter('sent')
    const received = this.#counter('received')
    const [request, response] = this.#client ? [sent, received] : [received, sent]
    if (type === 'unary') {
      this.#countRequest = request
      this.#countResponse = response
    } else {
      if (request !== undefined) this.request = request
      if (response !== undefined) this.response = response
    }
  }

  started(call: Call, record: CallRecord): void {
    const { contained } = this.#settings
    try {
      this.#recorder.started(call)
    } catch (error) {
      contained.failed(error, 'recorder', call)
    }
    this.#bytes(record)
  }

  end(status: Status, durationMs: number, record: CallRecord): void {
    if (status.refusedBy === undefined) this.#countRequest?.()
    if (status.code === Code.OK) this.#countResponse?.()
    this.#recorder.ended(record.call, status, durationMs, this.#sizes(record))
  }

  #sizes(record: CallRecord): MessageSizes | undefined {
    const bytes = this.#bytes(record)
    if (bytes === undefined) return undefined
    const { requests, responses } = bytes
    return this.#client ? { sent: requests, received: responses } : { sent: responses, received: requests }
  }

  #bytes(record: CallRecord): ReturnType<CallRecord['measure']> | undefined {
    const { sizeOf } = this.#settings
    return sizeOf && this.#measured(record, sizeOf)
  }

  #measured(record: CallRecord, sizeOf: (message: unknown) => number): ReturnType<CallRecord['measure']> {
    return record.measure(sizeOf, (error) => this.#settings.contained.failed(error, 'sizeOf', record.call))
  }

  #counter(name: 'sent' | 'received'): CountMessage | undefined {
    const recorder = this.#recorder
    if (typeof recorder[name] !== 'function') return undefined
    return () => {
      try {
        recorder[name]?.()
      } catch (error) {
        this.#settings.contained.failed(error, 'recorder')
      }
    }
  }
}

/** Undefined where the recorder measures nothing, or fails. */
export function observationOf(
  settings: MeasureSettings,
  recorder: Recorder,
  method: MeasuredMethod,
): MethodObservation | undefined {
  const ofMethod = settings.contained.run('recorder', () => recorder.method(method))
  return ofMethod && new MethodObservation(settings, ofMethod, method)
}
