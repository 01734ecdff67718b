import type { MethodDefinition } from '@grpc/grpc-js'
import type { BidiMethod, ClientMethod, ClientStreamMethod, ServerStreamMethod, UnaryMethod } from './client-types.ts'
import type {
  BidiHandler,
  ClientStreamHandler,
  DynamicHandler,
  MethodHandler,
  ServerStreamHandler,
  UnaryHandler,
} from './handler-types.ts'

type Same<A, B> = [A, B] extends [B, A] ? true : false
type Definition<QS extends boolean, RS extends boolean> = MethodDefinition<string, number> & {
  readonly requestStream: QS
  readonly responseStream: RS
}

// A definition that says which sides stream has the one kind of handler, and the one kind of client method.
true satisfies Same<MethodHandler<Definition<false, false>>, UnaryHandler<string, number>>
true satisfies Same<MethodHandler<Definition<true, false>>, ClientStreamHandler<string, number>>
true satisfies Same<MethodHandler<Definition<false, true>>, ServerStreamHandler<string, number>>
true satisfies Same<MethodHandler<Definition<true, true>>, BidiHandler<string, number>>
true satisfies Same<ClientMethod<Definition<false, false>>, UnaryMethod<string, number>>
true satisfies Same<ClientMethod<Definition<true, false>>, ClientStreamMethod<string, number>>
true satisfies Same<ClientMethod<Definition<false, true>>, ServerStreamMethod<string, number>>
true satisfies Same<ClientMethod<Definition<true, true>>, BidiMethod<string, number>>

// One that does not, as with proto-loader, leaves it open.
true satisfies Same<MethodHandler<Definition<boolean, boolean>>, DynamicHandler<string, number>>
