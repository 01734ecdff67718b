import type { Deserialize, ServerMethodDefinition } from './grpc-types.ts'

/** Marks, by identity, the stand-in handler of a path nobody registered. */
export const passBytes: Deserialize<Buffer> = (bytes: Buffer): Buffer => bytes

export function isUnregistered(definition: ServerMethodDefinition<unknown, unknown>): boolean {
  return definition.requestDeserialize === passBytes
}
