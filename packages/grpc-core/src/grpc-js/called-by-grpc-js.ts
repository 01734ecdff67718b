import {
  status as Code,
  type InterceptingCall,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js'

// grpc-js accepts any function as an interceptor, and a wrong one fails only at the first call. What this library makes can
// tell by its arguments that grpc-js called it, and say what to write.

/** Answers a call that grpc-js made, for what it called: `logging()`. */
export type Answer = (what: string) => InterceptingCall | ServerInterceptingCall

/**
 * Whether these are the arguments that grpc-js gives to its own interceptors: options and nextCall on a client, a method definition
 * and a call on a server.
 * @returns what answers it: on a client by throwing to the caller of the stub; on a server, where grpc-js does not catch what an
 *   interceptor throws and the process would end (server-interceptors.ts, 1.14), by ending the RPC before its handler
 */
export function calledByGrpcJs([first, second]: readonly unknown[]): Answer | undefined {
  if (isServerCall(second)) {
    return (what) => endCall(second, `${what} is no interceptor of grpc-js: write serverInterceptors(${what})`)
  }
  if (isOptions(first)) {
    return (what) => {
      throw new TypeError(`${what} is no interceptor of grpc-js: write { interceptors: clientInterceptors(${what}) }`)
    }
  }
  return undefined
}

/** Ends the RPC INTERNAL without a handler. The text is of this process alone, so the peer may have it. */
export function endCall(call: ServerInterceptingCallInterface, text: string): ServerInterceptingCall {
  warnOnce(text)
  return new ServerInterceptingCall(call, {
    // Its listener is never attached, so that nothing reaches the handler.
    start: () => call.sendStatus({ code: Code.INTERNAL, details: text, metadata: null }),
    sendStatus: () => undefined,
  })
}

export function isServerCall(value: unknown): value is ServerInterceptingCallInterface {
  return typeof value === 'object' && value !== null && has(value, 'sendStatus') && has(value, 'startRead')
}

/** What to write instead of giving an interceptor of grpc-js to a stack of this library. */
const INTERCEPTOR_OF_GRPC_JS = {
  client: 'as one of grpc-js does: give it to grpc-js itself, { interceptors: [it, ...clientInterceptors(…)] }',
  server: 'as one of grpc-js does: give it to grpc-js itself, { interceptors: [it, ...serverInterceptors(…)] }',
} as const

/** What an interceptor of grpc-js returns, told of what runs in a stack of this library. */
export function callOfGrpcJs(returned: unknown): string | undefined {
  if (isServerCall(returned)) return `returned a ServerInterceptingCall, ${INTERCEPTOR_OF_GRPC_JS.server}`
  return isClientCall(returned) ? `returned an InterceptingCall, ${INTERCEPTOR_OF_GRPC_JS.client}` : undefined
}

function isClientCall(value: unknown): boolean {
  return typeof value === 'object' && value !== null && has(value, 'sendMessage') && has(value, 'cancelWithStatus')
}

function isOptions(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'method_definition' in value
}

function has(value: object, method: string): boolean {
  return typeof (value as Record<string, unknown>)[method] === 'function'
}

const warned = new Set<string>()

function warnOnce(text: string): void {
  if (warned.has(text)) return
  warned.add(text)
  process.emitWarning(text, { code: 'GRPC_STACK_NO_INTERCEPTOR' })
}
