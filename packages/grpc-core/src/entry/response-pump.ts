import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js'
import { iteratorResult } from '../calls/request-pump.ts'
import { isThenable } from '../runtime/thenable.ts'

type Sink = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>

export type Responses = Iterator<unknown> | AsyncIterator<unknown>

/**
 * Writes responses to a call, no faster than the peer reads, and stops when the RPC does. A generator that is left early runs its
 * `finally`; one that is busy gets to it when its current step is done.
 * @param fail ends the RPC with an error
 */
export async function pumpResponses(responses: Responses, call: Sink, fail: (error: unknown) => void): Promise<void> {
  const wait = new WaitForCall(call)
  while (!wait.ended && !call.writableEnded) {
    let message: unknown
    try {
      const step = await wait.unlessEnded(responses.next())
      if (step === ENDED || call.cancelled || call.writableEnded) break
      const { done, value } = iteratorResult(step)
      if (done) {
        call.end()
        return
      }
      // As a loop over the iterator would: a generator that is not async may yield promises.
      message = isThenable(value) ? await wait.unlessEnded(value) : value
    } catch (error) {
      fail(error)
      return
    }
    if (message === ENDED) break
    try {
      if (call.write(message)) continue
    } catch (error) {
      fail(error) // Node's streams take no null
      break
    }
    await wait.unlessEnded(wait.drained())
  }
  close(responses)
}

const ENDED: unique symbol = Symbol('ended')

/**
 * Waits for one thing at a time, and no longer than the call lives. The end of the call resolves the wait of the moment: a promise
 * of that end, to race with, would keep what all the races were about until the call ends.
 */
class WaitForCall {
  readonly #call: Sink
  ended: boolean
  #wake: ((ended: typeof ENDED) => void) | undefined

  constructor(call: Sink) {
    this.#call = call
    this.ended = call.destroyed
    // Node 20 and 22 were seen to keep this listener until the next full garbage collection, and a promise leads to the
    // AsyncLocalStorage store it was made in: nothing is left in its place at the end.
    call.once('close', () => {
      this.ended = true
      this.#wake?.(ENDED)
      this.#wake = undefined
    })
  }

  unlessEnded<T>(work: T | PromiseLike<T>): Promise<T | typeof ENDED> {
    return new Promise((resolve, reject) => {
      if (this.ended) resolve(ENDED)
      else this.#wake = resolve
      // Also after the end, where the result is ignored: without this a rejection would be an unhandled one.
      Promise.resolve(work).then(resolve, reject)
    })
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#call.once('drain', resolve))
  }
}

function close(responses: Responses): void {
  try {
    // The RPC has ended: an error in there can no longer reach the peer.
    void Promise.resolve(responses.return?.()).catch(() => undefined)
  } catch {}
}
