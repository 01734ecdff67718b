import type { InterceptorOptions } from '@grpc/grpc-js'
import { isIntercepted } from './channel-facts.ts'

type Definition = InterceptorOptions['method_definition']
type Serialize = Definition['requestSerialize']

/** A request message in the bytes it had when the application wrote it. */
export class SerializedRequest {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

/** By serializer: grpc-js's stubs make a definition for each call, of functions that are the same for all calls of a method. */
const accepting = new WeakMap<Serialize, Serialize>()

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
  inside.methodDefinition = { ...definition, requestSerialize: acceptingBytes(definition.requestSerialize) }
  return true
}

function acceptingBytes(serialize: Serialize): Serialize {
  let made = accepting.get(serialize)
  if (made === undefined) {
    made = function (this: Definition, request) {
      return request instanceof SerializedRequest ? request.bytes : serialize.call(this, request)
    }
    accepting.set(serialize, made)
  }
  return made
}
