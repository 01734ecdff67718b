import { status as Code } from '@grpc/grpc-js'
import type { Call } from '@grpc-stack/grpc-core'
import type { MeasuredMethod, MethodRecorder, Recorder } from '@grpc-stack/interceptor-metrics'

/** One side of one method, as measured since the last `take`. */
export interface MethodWindow {
  readonly side: 'client' | 'server'
  /** `/package.Service/Method` */
  readonly path: string
  readonly type: string
  readonly started: number
  /** How many RPCs ended, by the name of the code. */
  readonly ended: Readonly<Record<string, number>>
  /** How long they took. Of very many RPCs only the first. */
  readonly latenciesMs: readonly number[]
  /** RPCs in progress now. */
  readonly inFlight: number
  /** Messages of streams, since the process began. */
  readonly messagesSent: number
  readonly messagesReceived: number
  /** Responses that passed so far in the RPCs in progress: those that a server has sent, those that a client has read. */
  readonly responsesInFlight: number
}

export interface WindowRecorder extends Recorder {
  /** What was measured since the last time, of methods that were or are in use. */
  take(): MethodWindow[]
}

/** Enough for the percentiles of half a second, and a bound. */
const MOST_LATENCIES = 500

/** A recorder of one's own: it keeps the latencies themselves, for a page that shows the last few seconds exactly. */
export function windowRecorder(): WindowRecorder {
  const series = new Map<string, Series>()
  return {
    method(method) {
      const key = `${method.side} ${method.path}`
      const known = series.get(key) ?? new Series(method)
      series.set(key, known)
      return known
    },
    take: () => [...series.values()].map((one) => one.take()),
  }
}

class Series implements MethodRecorder {
  readonly #method: MeasuredMethod
  #started = 0
  #ended: Record<string, number> = {}
  #latenciesMs: number[] = []
  #inFlight = 0
  #sent = 0
  #received = 0
  readonly #responses = new Map<Call, number>()

  constructor(method: MeasuredMethod) {
    this.#method = method
  }

  started: MethodRecorder['started'] = (call) => {
    this.#started++
    this.#inFlight++
    if (!/^(server|bidi)_stream$/.test(this.#method.type)) return
    this.#responses.set(call, 0)
    call.onResponse(() => {
      const count = this.#responses.get(call)
      if (count !== undefined) this.#responses.set(call, count + 1)
    })
  }

  ended: MethodRecorder['ended'] = (call, { code }, durationMs) => {
    this.#responses.delete(call)
    const name = Code[code] ?? String(code)
    this.#ended[name] = (this.#ended[name] ?? 0) + 1
    this.#inFlight--
    if (this.#latenciesMs.length < MOST_LATENCIES) this.#latenciesMs.push(durationMs)
  }

  sent = (): void => {
    this.#sent++
  }

  received = (): void => {
    this.#received++
  }

  take(): MethodWindow {
    const { side, path, type } = this.#method
    const window: MethodWindow = {
      side,
      path,
      type,
      started: this.#started,
      ended: this.#ended,
      latenciesMs: this.#latenciesMs,
      inFlight: this.#inFlight,
      messagesSent: this.#sent,
      messagesReceived: this.#received,
      responsesInFlight: [...this.#responses.values()].reduce((sum, count) => sum + count, 0),
    }
    this.#started = 0
    this.#ended = {}
    this.#latenciesMs = []
    return window
  }
}
