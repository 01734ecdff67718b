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
  /**
   * Why there may be no answer: the last error that the client reported, of this node if it told, and if no run has succeeded
   * since; else what the client waits for.
   */
  lastError(node: string | undefined): string | undefined
}

/** @throws TypeError for what is no client. */
export function scriptRunner(client: RedisClient, script: string, sha: string): ScriptRunner {
  const { bySha, byText } = scriptCalls(client, script, sha)
  const errors = clientErrors(client)
  return {
    run: async (node, keys, args) => {
      try {
        const reply = await bySha(keys, args).catch((error: unknown) => {
          // A server that was restarted or failed over knows no scripts.
          if (messageOf(error)?.startsWith('NOSCRIPT')) return byText(keys, args)
          throw error
        })
        errors.answered(node)
        return reply
      } catch (error) {
        throw explained(error, errors.last(node))
      }
    },
    lastError: (node) => errors.last(node) ?? unready(client),
  }
}

/** What a client waits for. ioredis reports nothing while a server that it is connected to loads its data. */
function unready(client: RedisClient): string | undefined {
  const { status, isReady } = client as { status?: unknown; isReady?: unknown }
  if (isReady === false) return 'the client is not connected'
  if (typeof status !== 'string' || status === 'ready') return undefined
  return status === 'connect'
    ? 'the client is connected, and Redis is not ready: LOADING?'
    : `the client is "${status}"`
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

function scriptCalls(client: RedisClient, script: string, sha: string): { bySha: RunScript; byText: RunScript } {
  if (isNodeRedis(client)) {
    return {
      bySha: (keys, args) => client.evalSha(sha, { keys, arguments: args }),
      byText: (keys, args) => client.eval(script, { keys, arguments: args }),
    }
  }
  if (isIoredis(client)) {
    return {
      bySha: (keys, args) => client.evalsha(sha, keys.length, ...keys, ...args),
      byText: (keys, args) => client.eval(script, keys.length, ...keys, ...args),
    }
  }
  throw invalidOption('redisStore', 'client', 'an ioredis or node-redis client', client)
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
