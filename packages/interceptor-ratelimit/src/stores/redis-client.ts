import { invalidOption } from '@grpc-stack/grpc-core/authoring'
import { clientErrors, messageOf } from './redis-errors.ts'

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
  /**
   * Runs the script by its digest, in one round trip unless the server does not know it yet.
   * @param node which node of a cluster has the keys
   */
  run(node: string | undefined, keys: string[], args: string[]): Promise<unknown>
  /** The message of the last error that the client reported, of this node if it told, and if no run has succeeded since. */
  lastError(node: string | undefined): string | undefined
}

/** @throws TypeError for what is no client. */
export function scriptRunner(client: RedisClient, script: string, sha: string): ScriptRunner {
  const run = byDigest(client, script, sha)
  const errors = clientErrors(client)
  return {
    run: async (node, keys, args) => {
      try {
        const reply = await run(keys, args)
        errors.answered(node)
        return reply
      } catch (error) {
        throw explained(error, errors.last(node))
      }
    },
    lastError: errors.last,
  }
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
