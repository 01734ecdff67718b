import {
  type CallOptions,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  status as Code,
  connectivityState,
  type Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { LocalStatus, RemoteStatus, receivedStatus, type Status } from '../contract/status.ts'
import { cancelOnceSent } from '../grpc-js/early-cancel.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { type AnyCall, ResponseStream, SingleResponse } from './call-handle.ts'
import { requestIterator } from './request-pump.ts'

/** What a call needs to know of its method. */
export type CallMethod<Q, R> = Pick<
  MethodDefinition<Q, R>,
  'path' | 'requestStream' | 'responseStream' | 'requestSerialize' | 'responseDeserialize'
>

type Requests<Q> = AsyncIterator<Q> | Iterator<Q>

/**
 * Calls a method of a grpc-js client.
 * @param input the request, or for a method with a request stream an iterable or async iterable of requests
 * @param signal cancels the call; its reason becomes the `cause` of the error
 * @throws TypeError if `input` should be iterable and is not, and whatever grpc-js throws for wrong options. A closed
 * channel is not thrown: the call then ends with UNAVAILABLE.
 */
export function openCall<Q, R>(
  client: Client,
  method: CallMethod<Q, R>,
  input: Q | AsyncIterable<Q> | Iterable<Q>,
  metadata: Metadata,
  options: CallOptions,
  signal?: AbortSignal,
): AnyCall<R> {
  const requests = method.requestStream ? requestIterator<Q>(input, method.path) : undefined
  const request = input as Q // used only where there is no request stream: then the input is the request
  const call = method.responseStream ? new ResponseStream<R>() : new SingleResponse<R>()
  try {
    if (call instanceof ResponseStream) openStream(call, client, method, requests, request, metadata, options)
    else openSingle(call, client, method, requests, request, metadata, options)
  } catch (error) {
    if (!isClosed(client)) throw error
    call.settle(closedChannel(error))
    return call
  }
  if (signal) call.follow(signal)
  return call
}

function openSingle<Q, R>(
  call: SingleResponse<R>,
  client: Client,
  { path, requestSerialize, responseDeserialize }: CallMethod<Q, R>,
  requests: Requests<Q> | undefined,
  request: Q,
  metadata: Metadata,
  options: CallOptions,
): void {
  let outcome: { readonly error: ServiceError | null } | undefined
  const callback = (error: ServiceError | null, response?: R): void => {
    outcome = { error }
    if (error === null) call.receive(response as R)
  }
  const ended = (status: StatusObject): void => {
    const error = outcome?.error
    // grpc-js reports OK for a call that ended well without a response, and tells the caller otherwise.
    call.settle(receivedStatus(error && status.code === Code.OK ? error : status), error?.stack)
  }
  let surface: ClientUnaryCall
  if (requests === undefined) {
    surface = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, callback)
  } else {
    const make = client.makeClientStreamRequest.bind(client)
    const stream = make(path, requestSerialize, responseDeserialize, metadata, options, callback)
    surface = stream
    call.pump(requests, stream)
  }
  call.connect(lineOf(surface, call))
  // A grpc-js interceptor may have answered already, before anybody could listen.
  if (outcome !== undefined) ended(new RemoteStatus(Code.OK, '', newMetadata()))
  else {
    surface.on('metadata', (headers) => call.receiveHeaders(headers))
    surface.on('status', ended)
  }
}

function openStream<Q, R>(
  call: ResponseStream<R>,
  client: Client,
  { path, requestSerialize, responseDeserialize }: CallMethod<Q, R>,
  requests: Requests<Q> | undefined,
  request: Q,
  metadata: Metadata,
  options: CallOptions,
): void {
  let stream: ClientReadableStream<R>
  if (requests === undefined) {
    const make = client.makeServerStreamRequest.bind(client)
    stream = make(path, requestSerialize, responseDeserialize, request, metadata, options)
  } else {
    const duplex = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, options)
    stream = duplex
    call.pump(requests, duplex)
  }
  call.connect(lineOf(stream, call), stream)
  let trace: string | undefined
  stream.on('metadata', (headers) => call.receiveHeaders(headers))
  stream.on('error', (error) => {
    trace ??= error.stack
  })
  stream.on('status', (status) => call.settle(receivedStatus(status), trace))
}

function lineOf(
  surface: ClientUnaryCall,
  call: { readonly receivedHeaders: Metadata | undefined },
): Parameters<SingleResponse<unknown>['connect']>[0] {
  return {
    // The surface itself only knows how to cancel with words of its own.
    cancelWithStatus: (code, details) =>
      cancelOnceSent(surface.call, call.receivedHeaders !== undefined, code, details),
    getPeer: () => surface.getPeer(),
    getAuthContext: () => surface.getAuthContext(),
  }
}

function isClosed(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.SHUTDOWN
}

/** The end of a call that could not start, because its channel was closed. */
export function closedChannel(error: unknown): Status {
  const details = error instanceof Error ? error.message : String(error)
  return new LocalStatus({ code: Code.UNAVAILABLE, details, cause: error })
}
