import type { RedisClient } from './redis-client.ts'
import { masterOf } from './redis-cluster.ts'

/** How many replicas must have a charge before a call goes on. */
export interface WaitReplicas {
  /** How many, ≥ 1. */
  readonly count: number
  /** How long Redis waits for them, in milliseconds. Less than `storeTimeoutMs`, or that decides. */
  readonly timeoutMs: number
}

/** A connection to one node. ioredis has `call`, node-redis `sendCommand`. */
interface NodeClient {
  call?(command: string, ...args: string[]): Promise<unknown>
  sendCommand?(args: string[]): Promise<unknown>
}

/** What is used of the clients of clusters: ioredis has `nodes`, node-redis `nodeClient`. */
interface ClusterClient {
  nodes?(role: 'master'): (NodeClient & { readonly options: { readonly host?: string; readonly port?: number } })[]
  readonly slots?: readonly { readonly master?: unknown }[]
  nodeClient?(node: unknown): Promise<NodeClient>
}

/**
 * Waits until replicas have what this connection wrote, by WAIT, which knows the writes of its own connection only.
 * @param slot of the key that was written, on a cluster
 * @throws Error if too few have it in time
 */
export async function waitForReplicas(
  client: RedisClient,
  slot: number | undefined,
  { count, timeoutMs }: WaitReplicas,
): Promise<void> {
  const node = slot === undefined ? (client as NodeClient) : await ownerOf(client, slot)
  const args = [String(count), String(timeoutMs)]
  const reply = await (node?.call === undefined ? node?.sendCommand?.(['WAIT', ...args]) : node.call('WAIT', ...args))
  const have = Number(reply ?? 0)
  if (have < count) throw new Error(`${have} of ${count} replicas have the charge after ${timeoutMs} ms`)
}

/** Whether all commands of a client about one key go over one connection. Those of a pool or of Sentinel's may not. */
export function hasOneConnection(client: RedisClient): boolean {
  const { call, sendCommand } = client as NodeClient
  const pooled = 'clientsInUse' in client || 'getSentinelNode' in client
  return !pooled && (typeof call === 'function' || typeof sendCommand === 'function')
}

async function ownerOf(client: RedisClient, slot: number): Promise<NodeClient | undefined> {
  const { nodes, nodeClient, slots } = client as ClusterClient
  if (nodes !== undefined) {
    const address = masterOf(client, slot)
    return nodes.call(client, 'master').find(({ options: { host, port } }) => `${host}:${port}` === address)
  }
  const master = slots?.[slot]?.master
  return master === undefined ? undefined : await nodeClient?.call(client, master)
}
