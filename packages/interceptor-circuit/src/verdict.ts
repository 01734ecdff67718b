import { status as Code } from '@grpc/grpc-js'
import type { Status } from '@grpc-stack/grpc-core'
import type { Verdict } from './circuit.ts'

/**
 * What a status says about the server. A server that answers with an error of the caller's is well. Exhaustion is about a
 * quota, UNIMPLEMENTED about a deployment, CANCELLED about the caller: none of them says anything.
 */
const VERDICTS: ReadonlyMap<Code, Verdict> = new Map([
  [Code.UNAVAILABLE, 'failure'],
  [Code.INTERNAL, 'failure'],
  [Code.UNKNOWN, 'failure'],
  [Code.DEADLINE_EXCEEDED, 'failure'],
  [Code.DATA_LOSS, 'failure'],
  [Code.CANCELLED, 'nothing'],
  [Code.RESOURCE_EXHAUSTED, 'nothing'],
  [Code.UNIMPLEMENTED, 'nothing'],
])

/** Whether a status is about this process only: a refusal of an interceptor, a cancel by the caller. */
export function saysNothing(status: Status): boolean {
  return status.code === Code.CANCELLED || (status.origin === 'local' && status.code !== Code.OK)
}

export function verdictOf(status: Status): Verdict {
  if (status.code === Code.OK) return 'success'
  return saysNothing(status) ? 'nothing' : (VERDICTS.get(status.code) ?? 'success')
}
