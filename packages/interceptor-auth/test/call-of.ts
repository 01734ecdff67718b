import { Metadata } from '@grpc/grpc-js'
import type { MethodInfo, ServerCall } from '@grpc-stack/grpc-core'

/** As much of a call as a policy looks at. */
export function callOf(path: string, headers: Readonly<Record<string, string>> = {}): ServerCall {
  const [, service = '', name = ''] = path.split('/')
  const method: Partial<MethodInfo> = { path, service, name, registered: true }
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
  return { method, metadata } as ServerCall // policies look at nothing else
}
