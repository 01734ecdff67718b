import { status as Code, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { isAbsent, usableMetadata } from '../../contract/given-status.ts'
import { fitHeaders, fitStatus } from '../../grpc-js/response-size.ts'
import type { GrpcJsStatus } from '../../grpc-js/server-status.ts'
import { callAtStream, endBehindStatus, mayBeSending, streamOf } from '../../grpc-js/server-stream.ts'
import { withoutUnsendable } from '../../grpc-js/unsendable-keys.ts'
import { isHandlerLink } from './handler-link.ts'

/** Where grpc-js's call keeps its gate. */
const GATE: unique symbol = Symbol.for('@grpc-stack/grpc-core.gate')

interface Gated extends ServerInterceptingCallInterface {
  [GATE]: Gate
}

/** What grpc-js's call did before. Does not lead to the call: see `ConnectionLink`. */
interface Gate {
  readonly sendStatus: ServerInterceptingCallInterface['sendStatus']
  readonly sendMetadata: ServerInterceptingCallInterface['sendMetadata']
  readonly limit: number
  /** Response headers were left out. */
  marked: boolean
}

/**
 * Lets headers and statuses leave grpc-js's call only as a peer can take them, whatever sends them: a handler, an
 * interceptor, grpc-js itself. A status ends the stream, also where the client has not. One function for all calls, as in
 * `ConnectionLink`.
 */
export function gateResponses(given: ServerInterceptingCallInterface, limit: number): void {
  if (isHandlerLink(given)) return // of another stack on the same server: there is a gate below it
  const call = callAtStream(given)
  if (GATE in call) return
  const gate: Gate = { sendStatus: call.sendStatus, sendMetadata: call.sendMetadata, limit, marked: false }
  ;(call as Gated)[GATE] = gate
  call.sendStatus = gatedStatus
  call.sendMetadata = gatedMetadata
}

function gatedStatus(this: ServerInterceptingCallInterface, status: GrpcJsStatus): void {
  const gate = (this as Gated)[GATE]
  const stream = streamOf(this)
  const sending = mayBeSending(stream)
  const trailers = sending && stream.headersSent
  gate.sendStatus.call(this, fitStatus(sendable(status), gate.limit, gate.marked))
  if (sending) endBehindStatus(stream, trailers)
}

/** grpc-js fails on trailers that are none when it has begun to send them, and the RPC hangs. */
function sendable(status: GrpcJsStatus): GrpcJsStatus {
  const { metadata } = status
  if (isAbsent(metadata)) return status
  const usable = usableMetadata(metadata)
  if (usable === undefined) return NO_TRAILERS
  const sendable = withoutUnsendable(usable)
  return sendable === metadata ? status : { ...status, metadata: sendable }
}

const NO_TRAILERS: GrpcJsStatus = { code: Code.INTERNAL, details: 'Internal error', metadata: null }

function gatedMetadata(this: ServerInterceptingCallInterface, metadata: Metadata): void {
  const gate = (this as Gated)[GATE]
  // Handlers give none at times, which grpc-js takes. On anything else it fails once it has noted the headers as sent.
  if (isAbsent(metadata)) {
    gate.sendMetadata.call(this, metadata)
    return
  }
  const usable = usableMetadata(metadata)
  if (usable === undefined) {
    this.sendStatus(NO_TRAILERS)
    return
  }
  const sendable = withoutUnsendable(usable)
  const fitting = fitHeaders(sendable, gate.limit)
  if (fitting !== sendable) gate.marked = true
  gate.sendMetadata.call(this, fitting)
}
