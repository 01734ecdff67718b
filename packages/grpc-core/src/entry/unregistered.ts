import type { status as Code, deserialize, ServerDuplexStream, ServerMethodDefinition } from '@grpc/grpc-js'

/** Marks the codec of the stand-in handler of an unregistered method. */
const UNREGISTERED: unique symbol = Symbol.for('@grpc-stack/grpc-core.unregistered')

const passBytes: deserialize<Buffer> = Object.assign((bytes: Buffer) => bytes, { [UNREGISTERED]: true })

export function isUnregistered(
  definition: Pick<ServerMethodDefinition<unknown, unknown>, 'requestDeserialize'>,
): boolean {
  return UNREGISTERED in definition.requestDeserialize
}

/** A handler, as grpc-js keeps them, that ends any RPC with this status. A request does not tell its pattern: bidi fits all. */
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
