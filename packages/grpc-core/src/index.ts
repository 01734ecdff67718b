export type {
  AttemptTap,
  Call,
  CallAttempt,
  ClientCall,
  Compression,
  Interceptor,
  MessageTap,
  MetadataTap,
  Next,
  Recovery,
  ReplayLimits,
  ReplayPool,
  ServerCall,
  StatusTap,
} from './call.ts'
export type { CallHandle, StreamCall, UnaryCall } from './call-handle.ts'
export { CallOption } from './call-option.ts'
export { type Channel, createChannel, interceptChannel, type StubClass, type StubOptions } from './channel.ts'
export { createClient } from './client.ts'
export type {
  BidiMethod,
  ClientCallOptions,
  ClientMethod,
  ClientStreamMethod,
  DynamicMethod,
  Requests,
  ServerStreamMethod,
  ServiceClient,
  UnaryMethod,
} from './client-types.ts'
export {
  type ClientInterceptorLike,
  chain,
  type InterceptorLike,
  type ServerInterceptorLike,
  select,
  stacks,
} from './compose.ts'
export { Context, ContextToken, ContextVar, outsideRpc, withoutServerCall } from './context.ts'
export type { ClientCallDetails, ClientCallDetailsPatch } from './contracts/client-call-details.ts'
export type {
  ClientInterceptor,
  StreamStreamClientInterceptor,
  StreamStreamContinuation,
  StreamUnaryClientInterceptor,
  StreamUnaryContinuation,
  UnaryStreamClientInterceptor,
  UnaryStreamContinuation,
  UnaryUnaryClientInterceptor,
  UnaryUnaryContinuation,
} from './contracts/client-contract.ts'
export type { HandlerCallDetails, HandlerCallDetailsPatch } from './contracts/handler-call-details.ts'
export {
  abortHandler,
  type Behavior,
  type HandlerCodecs,
  type HandlerPattern,
  type HandlerWrapper,
  type RpcMethodHandler,
  type StreamStreamBehavior,
  type StreamUnaryBehavior,
  streamStreamRpcMethodHandler,
  streamUnaryRpcMethodHandler,
  type UnaryStreamBehavior,
  type UnaryUnaryBehavior,
  unaryStreamRpcMethodHandler,
  unaryUnaryRpcMethodHandler,
  wrapHandler,
} from './contracts/rpc-method-handler.ts'
export type { ServerInterceptor, ServiceContinuation } from './contracts/server-contract.ts'
export type { ServicerContext } from './contracts/servicer-context.ts'
export {
  type CredentialScrubber,
  credentialScrubber,
  isCredentialName,
  rememberCredentials,
} from './credential-text.ts'
export type {
  BidiHandler,
  ClientStreamHandler,
  Handlers,
  MethodHandler,
  ServerStreamHandler,
  UnaryHandler,
} from './handler-types.ts'
export { clientInterceptors, serverInterceptors } from './interceptors.ts'
export {
  all,
  any,
  compileMatcher,
  healthAndReflection,
  type Matcher,
  type MethodFacts,
  type MethodPredicate,
  not,
} from './match.ts'
export type { MethodInfo, Pattern } from './method.ts'
export { propagate } from './propagate.ts'
export { type CreateServerOptions, createServer, type StackServer } from './server.ts'
export { abort, RpcError, type RpcErrorOptions, type Status } from './status.ts'
