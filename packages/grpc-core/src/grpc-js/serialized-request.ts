import type { InterceptorOptions } from '@grpc/grpc-js'
import { isIntercepted } from './channel-facts.ts'

type Definition = InterceptorOptions['method_definition']

/** A request message in the bytes it had when the application wrote it. */
export class SerializedRequest {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

const accepting = new WeakMap<Definition, Definition>()

/** As much of grpc-js's BaseInterceptingCall (client-interceptors.ts, 1.14) as serializes requests. Private; a test pins it. */
interface Inside {
  methodDefinition?: Definition
}

/**
 * Lets a call of grpc-js take requests in bytes beside messages. Returns whether it can: not where other interceptors of grpc-js
 * stand in between, which want messages, nor where the call is not as it is in grpc-js 1.14.
 */
export function takeBytes(call: unknown): boolean {
  const inside = call as Inside
  const definition = inside.methodDefinition
  if (isIntercepted(call) || typeof definition?.requestSerialize !== 'function') return false
  inside.methodDefinition = acceptingBytes(definition)
  return true
}

function acceptingBytes(definition: Definition): Definition {
  let made = accepting.get(definition)
  if (made === undefined) {
    const { requestSerialize } = definition
    made = {
      ...definition,
      requestSerialize: (request) =>
        request instanceof SerializedRequest ? request.bytes : requestSerialize.call(definition, request),
    }
    accepting.set(definition, made)
  }
  return made
}
