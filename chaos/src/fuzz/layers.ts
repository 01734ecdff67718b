import { AsyncLocalStorage } from 'node:async_hooks'
import type { Call, ClientInterceptor, Interceptor, ServerInterceptor, Status } from '@grpc-stack/grpc-core'
import { wrapHandler } from '@grpc-stack/grpc-core'
import { turn, until } from '../turns.ts'

/** Interceptors that change nothing, each by another of the ways in which an interceptor can be written. */
export const returning: Interceptor = (_call, next) => next()
export const awaiting: Interceptor = async (_call, next) => await next()
export const late: Interceptor = async (_call, next) => {
  await turn()
  return next()
}
export const lateByPromise: Interceptor = async (_call, next) => {
  await Promise.resolve()
  return await next()
}
export const tapping: Interceptor = (call, next) => {
  call.onRequest(() => undefined)
  call.onResponse(() => undefined)
  call.onResponseMetadata(() => undefined)
  call.onStatus(() => undefined)
  return next()
}
export const asking: Interceptor = (call, next) => {
  void [call.metadata, call.deadline, call.signal, call.context, call.peer(), call.method, call.side]
  return next()
}
export const recovering: Interceptor = (call, next) => call.recover(next, () => undefined)

export const eight = (...kinds: readonly Interceptor[]): Interceptor[] =>
  // Never undefined: the index stays below the length.
  Array.from({ length: 8 }, (_, index) => kinds[index % kinds.length] as Interceptor)

export const passingObject: ClientInterceptor & ServerInterceptor = {
  interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
  interceptService: (continuation, details) => continuation(details),
}

/** Takes calls apart and puts them together again. */
export const rebuildingObject: ClientInterceptor & ServerInterceptor = {
  interceptUnaryUnary: async (continuation, details, request) => await continuation(details, request),
  interceptUnaryStream: async (continuation, details, request) => each(continuation(details, request)),
  interceptStreamUnary: async (continuation, details, requests) => await continuation(details, each(requests)),
  interceptStreamStream: async (continuation, details, requests) => each(continuation(details, each(requests))),
  interceptService: async (continuation, details) =>
    wrapHandler(
      await continuation(details),
      (behavior, { requestStream, responseStream }) =>
        async (input, context) => {
          const given = requestStream ? each(input as AsyncIterable<unknown>) : input
          const answer = await behavior(given, context)
          return responseStream ? each(answer as AsyncIterable<unknown>) : answer
        },
    ),
}

async function* each<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) yield message
}

/**
 * A layer that holds the engine to its promises: `next()` resolves once and a status tap hears once, both the same
 * status; taps and what follows `next()` run in the context of the layer.
 */
export class Witness {
  readonly interceptor: Interceptor
  readonly #layer = new AsyncLocalStorage<object>()
  #calls: { readonly side: Call['side']; readonly tapped: Status[]; readonly resolved: Status[] }[] = []
  #violations: string[] = []

  constructor() {
    this.interceptor = async (call, next) => {
      const seen = { side: call.side, tapped: [] as Status[], resolved: [] as Status[] }
      this.#calls.push(seen)
      const own = {}
      const check = (where: string): void => {
        if (this.#layer.getStore() !== own) this.#violations.push(`${call.side}: ${where} ran in another context`)
      }
      return await this.#layer.run(own, async () => {
        let hasStatus = false
        const noted = (event: string): void => {
          check(`the tap of a ${event}`)
          if (hasStatus) this.#violations.push(`${call.side}: a ${event} passed a tap after the status`)
          hasStatus ||= event === 'status'
        }
        call.onRequest(() => noted('request'))
        call.onResponse(() => noted('response'))
        call.onResponseMetadata(() => noted('header'))
        call.onStatus((status) => {
          noted('status')
          seen.tapped.push(status)
        })
        const status = await next()
        check('what follows next()')
        seen.resolved.push(status)
        return status
      })
    }
  }

  /** Waits for RPCs that have ended for the application and are about to for the interceptors. */
  async settle(): Promise<void> {
    await until(() => this.#calls.every(({ resolved }) => resolved.length > 0), 3000)
  }

  /** What was wrong since the last time. `code` is what the application got. */
  violations(code: number | undefined): string[] {
    const found = this.#violations
    for (const { side, tapped, resolved } of this.#calls) {
      if (tapped.length !== 1) found.push(`${side}: a status tap heard ${tapped.length} statuses`)
      if (resolved.length !== 1) found.push(`${side}: next() resolved ${resolved.length} times`)
      if (tapped[0]?.code !== resolved[0]?.code) {
        found.push(`${side}: the tap heard ${tapped[0]?.code}, next() resolved to ${resolved[0]?.code}`)
      }
      if (side === 'client' && isCode(code) && resolved[0]?.code !== code) {
        found.push(`client: next() resolved to ${resolved[0]?.code}, the application got ${code}`)
      }
    }
    this.#calls = []
    this.#violations = []
    return found
  }
}

/** What a peer sends need not be one; to interceptors it then is UNKNOWN. */
export const isCode = (code: number | undefined): boolean =>
  Number.isInteger(code) && Number(code) >= 0 && Number(code) <= 16
