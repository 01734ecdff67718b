export type { CallHandle, StreamCall, UnaryCall } from './calls/call-handle.ts'
export {
  type ClientInterceptorLike,
  chain,
  type InterceptorLike,
  type ServerInterceptorLike,
  select,
  stacks,
} from './compose/compose.ts'
export {
  all,
  any,
  compileMatcher,
  healthAndReflection,
  type Matcher,
  not,
} from './compose/match.ts'
export type { MethodFacts } from './compose/match-facts.ts'
export type { MethodPredicate } from './compose/namings.ts'
export { propagate } from './compose/propagate.ts'
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
  Synchronous,
} from './contract/call.ts'
export { CallOption } from './contract/call-option.ts'
export { type Context, outsideRpc, withoutServerCall } from './contract/context.ts'
export { type ContextToken, ContextVar } from './contract/context-var.ts'
export type { MethodInfo, Pattern } from './contract/method.ts'
export { abort, RpcError, type RpcErrorOptions, type StatusDetail } from './contract/rpc-error.ts'
export type { Status } from './contract/status.ts'
export { type Channel, createChannel, interceptChannel, type StubClass, type StubOptions } from './entry/channel.ts'
export { createClient } from './entry/client.ts'
export { clientInterceptors } from './entry/client-interceptors.ts'
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
} from './entry/client-types.ts'
export type {
  BidiHandler,
  ClientStreamHandler,
  Handlers,
  MethodHandler,
  ServerStreamHandler,
  UnaryHandler,
} from './entry/handler-types.ts'
export { type CreateServerOptions, createServer, type StackServer } from './entry/server.ts'
export { serverInterceptors } from './entry/server-interceptors.ts'
export type { ClientCallDetails, ClientCallDetailsPatch } from './objects/client-call-details.ts'
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
} from './objects/client-interceptor.ts'
export type { HandlerCallDetails, HandlerCallDetailsPatch } from './objects/handler-call-details.ts'
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
} from './objects/rpc-method-handler.ts'
export type { ServerInterceptor, ServiceContinuation } from './objects/server-interceptor.ts'
export type { ServicerContext } from './objects/servicer-context.ts'
