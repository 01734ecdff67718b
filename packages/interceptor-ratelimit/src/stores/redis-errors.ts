import { LruMap } from '@grpc-stack/grpc-core/authoring'

/** The last errors that a client reported. They say why commands are not answered, which the commands themselves do not. */
export interface ClientErrors {
  /** The message of the last error of this node, else of the whole client, if no command has succeeded there since. */
  last(node: string | undefined): string | undefined
  answered(node: string | undefined): void
}

const MAX_NODES = 1024
const MAX_SAID = 10

/** One per client, however many stores it has: listeners are for the life of a client. */
const known = new WeakMap<object, ClientErrors>()

export function clientErrors(client: object): ClientErrors {
  const before = known.get(client)
  if (before !== undefined) return before
  let last: string | undefined
  let lastRefused = false
  const byNode = new LruMap<string, string>(MAX_NODES)
  const said = new Set<string>()
  const emitter = client as Emitter
  // Also where the application listens for no errors: node-redis ends the process over an 'error' event without a listener.
  emitter.on?.('error', (error) => {
    last = messageOf(error)
    lastRefused = isOfConnecting(error)
    // ioredis prints errors and node-redis throws them only while there is no listener, so this one has to speak for them.
    if (last === undefined || emitter.listenerCount?.('error') !== 1 || said.has(last) || said.size >= MAX_SAID) return
    said.add(last)
    process.emitWarning(
      `redisStore: the Redis client reports "${last}". This is said once, since the application listens for no 'error' of the client`,
      { type: 'GrpcStackWarning', code: 'GRPC_STACK_REDIS_ERROR' },
    )
  })
  // Else a server that was started again, and loads its data, would still be one that cannot be reached.
  emitter.on?.('connect', () => {
    if (lastRefused) last = undefined
  })
  const ofNode = (error: unknown, node: unknown): void => {
    const message = messageOf(error)
    if (message !== undefined) byNode.set(addressOf(node), message)
  }
  // Of clusters: ioredis and node-redis.
  emitter.on?.('node error', ofNode)
  emitter.on?.('node-error', ofNode)
  const errors: ClientErrors = {
    last: (node) => (node === undefined ? undefined : byNode.get(node)) ?? last,
    answered: (node) => {
      last = undefined
      if (node !== undefined && byNode.size > 0) byNode.delete(node)
    },
  }
  known.set(client, errors)
  return errors
}

interface Emitter {
  on?(event: string, listener: (error: unknown, node: unknown) => void): unknown
  listenerCount?(event: string): number
}

function addressOf(node: unknown): string {
  if (typeof node === 'string') return node
  const { host, port } = (node ?? {}) as { host?: unknown; port?: unknown }
  return `${host}:${port}`
}

function isOfConnecting(error: unknown): boolean {
  const { syscall, code } = (error ?? {}) as { syscall?: unknown; code?: unknown }
  return syscall === 'connect' || code === 'ECONNREFUSED'
}

/** The message alone: the errors of ioredis carry the command that failed, and for AUTH that is the password. */
export function messageOf(error: unknown): string | undefined {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  // An AggregateError of Node, for a name with several addresses, has no message.
  return [message, code].find((text): text is string => typeof text === 'string' && text !== '')
}
