import type { status as Code, deserialize, ServerDuplexStream, ServerMethodDefinition } from '@grpc/grpc-js'

/** Marks, by identity, the stand-in handler of a path nobody registered. */
const passBytes: deserialize<Buffer> = (bytes) => bytes

export function isUnregistered(
  definition: Pick<ServerMethodDefinition<unknown, unknown>, 'requestDeserialize'>,
): boolean {
  return definition.requestDeserialize === passBytes
}

/** A handler, as grpc-js keeps them, that ends any RPC with this status. The wire does not tell the pattern: bidi fits all. */
export function unregisteredHandler(path: string, status: { code: Code; details: string }): object {
  return {
    path,
    type: 'bidi',
    serialize: passBytes,
    deserialize: passBytes,
    func: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.emit('error', status)
    },
  }
}
