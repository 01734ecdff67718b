import type { deserialize, ServerMethodDefinition as Definition } from '@grpc/grpc-js'

export type Deserialize<T> = deserialize<T>
export type ServerMethodDefinition<Q, R> = Pick<Definition<Q, R>, 'requestDeserialize' | 'path'>
