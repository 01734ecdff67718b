import { status as Code } from '@grpc/grpc-js'
import { RpcError, type Status } from '@grpc-stack/grpc-core'

/** How a call ends that was still waiting: with what ended it, be that a cancel, a deadline or a server shutting down. */
export function endedWaiting(signal: AbortSignal, what: string): Status {
  const code = signal.reason instanceof RpcError ? signal.reason.code : Code.CANCELLED
  const verb = code === Code.DEADLINE_EXCEEDED ? 'Deadline exceeded' : 'Ended'
  return { code, details: `${verb} while waiting for ${what}` }
}
