import type { InterceptingCall, Interceptor } from '@grpc/grpc-js'

/** One of grpc-js's own client interceptors that only counts: how many messages are on their way at once. */
export function inFlight(): { interceptor: Interceptor; most: () => number; sent: unknown[] } {
  let now = 0
  let most = 0
  const sent: unknown[] = []
  return {
    most: () => most,
    sent,
    interceptor: (options, nextCall) => {
      const call = nextCall(options)
      const send = call.sendMessageWithContext.bind(call)
      const sendPlain = call.sendMessage.bind(call)
      call.sendMessage = (message) => {
        sent.push(message)
        sendPlain(message)
      }
      call.sendMessageWithContext = (context, message) => {
        sent.push(message)
        most = Math.max(most, ++now)
        const callback = (error?: Error | null): void => {
          now--
          context.callback?.(error)
        }
        send({ ...context, callback }, message)
      }
      // grpc-js names its class and uses only the interface.
      return call as InterceptingCall
    },
  }
}
