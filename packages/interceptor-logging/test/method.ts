import type { MethodInfo } from '@grpc-stack/grpc-core'

/** A method as the engine describes it. */
export function describeMethodOf(path: string, registered: boolean): MethodInfo {
  const [, service = '', name = ''] = path.split('/')
  const pattern = registered ? 'unary' : 'unknown'
  return Object.freeze({ path, service, name, pattern, requestStream: false, responseStream: false, registered })
}
