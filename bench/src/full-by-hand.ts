import { EchoByHand, type Heard } from './full-by-hand/client.ts'
import { serveByHand } from './full-by-hand/server.ts'
import { LARGE, MESSAGES, SMALL } from './service.ts'
import { nullSinks, type Sinks, startTracing } from './telemetry.ts'
import { token, WRONG_TOKEN } from './token.ts'
import type { BenchClient, Variant } from './variant.ts'

// What `ours-full` does, written into one client and one server for this service alone, with the same libraries, as a careful team
// would write it:
//
//     client.ts     the caller's metadata stay as they are; a span and its traceparent; a bearer token; UNAVAILABLE is tried again by
//                   gRFC A6, streams included (retries.ts); a circuit with probes (circuit.ts)
//     server.ts     a request id taken or made, sent back, and with the principal in the handler's context; a span that continues the
//                   caller's; a token verified once and remembered, and a token bucket per peer, both bounded (admission.ts)
//     recorded.ts   of each RPC on either side one span, seven metrics (families.ts) and one line, without credentials
//
// `by-hand.test.ts` holds what both record side by side. Not in it: options, observers that throw, deadlines of single attempts,
// caller deadlines in the circuit's verdict, interceptors one could add or leave out.

startTracing()

function openByHand(port: number, mayEnter: boolean, sinks: Sinks): BenchClient {
  const echo = new EchoByHand(`127.0.0.1:${port}`, mayEnter ? token : WRONG_TOKEN, sinks)

  /** One stream, until it is done. */
  const stream = (use: (done: Heard['done']) => void): Promise<void> =>
    new Promise((resolve, reject) => use((error) => (error === null ? resolve() : reject(error))))

  return {
    unary: (large) => echo.unary('unary', large ? LARGE : SMALL).then(() => undefined),
    fail: () =>
      echo.unary('fail', SMALL).then(
        () => Promise.reject(new Error('did not fail')),
        () => undefined,
      ),
    serverStream: () => stream((done) => echo.stream('serverStream', { done }, SMALL)),
    clientStream: () =>
      stream((done) => {
        let sent = 0
        const send = (): void => {
          while (sent < MESSAGES) {
            sent++
            if (!made.write(SMALL)) return
          }
          if (sent++ === MESSAGES) made.end()
        }
        const made = echo.stream('clientStream', { done, drain: send }, SMALL)
        send()
      }),
    bidi: () =>
      stream((done) => {
        let received = 0
        const data = (): void => {
          if (++received === MESSAGES) made.end()
          else made.write(SMALL)
        }
        const made = echo.stream('bidi', { done, data }, SMALL)
        made.write(SMALL)
      }),
    hold: () => () => undefined,
    close: () => echo.close(),
  }
}

export function fullByHandInto(sinks: Sinks): Variant {
  return {
    refuses: true,
    startServer: () => serveByHand(sinks),
    openClient: (port, mayEnter) => openByHand(port, mayEnter, sinks),
  }
}

/** The full stack without any of our code, in one piece: what an expert's own version of it costs. */
export const fullByHand: Variant = fullByHandInto(nullSinks())
