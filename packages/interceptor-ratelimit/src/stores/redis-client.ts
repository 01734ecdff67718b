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

/** Runs a script by its digest, in one round trip unless the server does not know it yet. */
export type RunScript = (keys: string[], args: string[]) => Promise<unknown>

/** @throws TypeError for what is no client. */
export function scriptRunner(client: RedisClient, script: string, sha: string): RunScript {
  // Also on a client whose maker listens for nothing: node-redis ends the process over an 'error' nobody hears.
  const emitter = client as { on?: (event: 'error', listener: () => void) => unknown } | null | undefined
  if (isNodeRedis(client)) {
    emitter?.on?.('error', ignore)
    return loadingOnDemand(
      (keys, args) => client.evalSha(sha, { keys, arguments: args }),
      (keys, args) => client.eval(script, { keys, arguments: args }),
    )
  }
  if (isIoredis(client)) {
    emitter?.on?.('error', ignore)
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

function isNodeRedis(client: RedisClient): client is NodeRedisClient {
  return typeof (client as Partial<NodeRedisClient> | null)?.evalSha === 'function'
}

function isIoredis(client: RedisClient): client is IoredisClient {
  return typeof (client as Partial<IoredisClient> | null)?.evalsha === 'function'
}

const ignore = (): void => undefined
