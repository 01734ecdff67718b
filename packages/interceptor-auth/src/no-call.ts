import { outsideRpc } from '@grpc-stack/grpc-core'
import { runShared } from './shared-work.ts'

/** `runShared`, also right where this package was first loaded while a call was handled. */
export function runInNoCall<T>(work: () => T): T {
  return runShared(() => outsideRpc(work))
}
