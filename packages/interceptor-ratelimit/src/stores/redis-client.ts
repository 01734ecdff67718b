import { invalidOption } from '@grpc-stack/grpc-core/authoring'

/** What is used of an ioredis client (`Redis` or `Cluster`). */
export interface IoredisClient {
  evalsha(sha: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
  eval(script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
}

/** What is used of a node-redis client (`createClient`, `createCluster`, `createClientPool`, `createSentinel`). */
export interface NodeRedisClient {
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
}

export type RedisClient = IoredisClient | NodeRedisClient

type RunScript = (keys: string[], args: string[]) => Promise<unknown>

export interface ScriptRunner {
  /** Runs the script by its digest, in one round trip unless the server does not know it yet. */
  readonly run: RunScript
  /** The message of the last error the client reported, if no run has succeeded since. */
  lastError(): string | undefined
}

/** @throws TypeError for what is no client. */
export function scriptRunner(client: RedisClient, script: string, sha: string): ScriptRunner {
  const run = byDigest(client, script, sha)
  let lastError: string | undefined
  // Also where the application listens for no errors: node-redis ends the process over an 'error' event without a listener.
  const emitter = client as { on?: (event: 'error', listener: (error: unknown) => void) => unknown }
  emitter.on?.('error', (error) => {
    lastError = messageOf(error)
  })
  return {
    run: async (keys, args) => {
      try {
        const reply = await run(keys, args)
        lastError = undefined
        return reply
      } catch (error) {
        throw explained(error, lastError)
      }
    },
    lastError: () => lastError,
  }
}

/** The message alone: the errors of ioredis carry the command that failed, and for AUTH that is the password. */
function messageOf(error: unknown): string | undefined {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  // An AggregateError of Node, for a name with several addresses, has no message.
  return [message, code].find((text): text is string => typeof text === 'string' && text !== '')
}

/**
 * A client that gives up says that it did, but not why. What the server replied (`WRONGTYPE …`) is the reason itself, but for
 * `NOAUTH`: node-redis sends commands although its password was refused.
 */
function explained(error: unknown, lastError: string | undefined): unknown {
  const message = messageOf(error)
  if (lastError === undefined || message === undefined || /^(?!NOAUTH)[A-Z]+ /.test(message)) return error
  return message.includes(lastError) ? error : new Error(`${message}: ${lastError}`)
}

function byDigest(client: RedisClient, script: string, sha: string): RunScript {
  if (isNodeRedis(client)) {
    return loadingOnDemand(
      (keys, args) => client.evalSha(sha, { keys, arguments: args }),
      (keys, args) => client.eval(script, { keys, arguments: args }),
    )
  }
  if (isIoredis(client)) {
    return loadingOnDemand(
      (keys, args) => client.evalsha(sha, keys.length, ...keys, ...args),
      (keys, args) => client.eval(script, keys.length, ...keys, ...args),
    )
  }
  throw invalidOption('redisStore', 'client', 'an ioredis or node-redis client', client)
}

/** A server that was restarted or failed over knows no scripts. */
function loadingOnDemand(bySha: RunScript, byText: RunScript): RunScript {
  return (keys, args) =>
    bySha(keys, args).catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return byText(keys, args)
      throw error
    })
}

/** Whether it is a client of a cluster, which refuses scripts with keys on several nodes. */
export function isCluster(client: RedisClient): boolean {
  const { isCluster } = client as { isCluster?: unknown }
  // ioredis says so; of the clients of node-redis only those of clusters have masters.
  return isCluster === true || 'masters' in client
}

function isNodeRedis(client: RedisClient): client is NodeRedisClient {
  return typeof (client as Partial<NodeRedisClient> | null)?.evalSha === 'function'
}

function isIoredis(client: RedisClient): client is IoredisClient {
  return typeof (client as Partial<IoredisClient> | null)?.evalsha === 'function'
}
