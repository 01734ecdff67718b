import type { MethodInfo, Pattern } from '@grpc-stack/grpc-core'
import type { MeasuredMethod, MethodType } from './recorder.ts'

const methodTypes: Readonly<Record<Pattern, MethodType>> = Object.freeze({
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
  unknown: 'unknown',
})

/** A method as recorders know it. All unregistered methods are `other`: callers make up their names. */
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
