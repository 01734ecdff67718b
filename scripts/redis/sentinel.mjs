// A real master with replicas that Sentinels watch, for tests and for the demo.
import { HOST, MEMORY_ONLY, RedisNode, replicated, until } from './node.mjs'

export const SENTINEL_MASTER = 'grpc-stack'

/**
 * Starts a master, its replicas, and Sentinels that watch it and promote a replica once most of them have not heard of it
 * for `downAfterMs`.
 * @param {{ replicas?: number, sentinels?: number, downAfterMs?: number }} [options]
 */
export async function startSentinel({ replicas = 2, sentinels = 3, downAfterMs = 500 } = {}) {
  const master = new RedisNode('redis-server', () => MEMORY_ONLY)
  const follower = () => new RedisNode('redis-server', () => [...MEMORY_ONLY, `replicaof ${HOST} ${master.port}`])
  const watcher = () =>
    new RedisNode('redis-sentinel', () => [
      `sentinel monitor ${SENTINEL_MASTER} ${HOST} ${master.port} ${Math.floor(sentinels / 2) + 1}`,
      `sentinel down-after-milliseconds ${SENTINEL_MASTER} ${downAfterMs}`,
      `sentinel failover-timeout ${SENTINEL_MASTER} 5000`,
    ])
  const watched = new WatchedRedis(
    [master, ...Array.from({ length: replicas }, follower)],
    Array.from({ length: sentinels }, watcher),
  )
  try {
    await master.start()
    await Promise.all(watched.nodes.slice(1).map((node) => node.start()))
    // A Sentinel asks a master for its replicas when it starts, and then every ten seconds.
    await watched.inStep()
    await Promise.all(watched.sentinels.map((node) => node.start()))
    await watched.healthy()
    return watched
  } catch (error) {
    await watched.stop()
    throw error
  }
}

/** A master with replicas, and the Sentinels that watch them. */
export class WatchedRedis {
  /**
   * @param {readonly RedisNode[]} nodes
   * @param {readonly RedisNode[]} sentinels
   */
  constructor(nodes, sentinels) {
    this.nodes = nodes
    this.sentinels = sentinels
    this.name = SENTINEL_MASTER
  }

  /** Waits until the Sentinels know each other and all nodes. */
  async healthy() {
    for (const sentinel of this.sentinels) {
      await until('the Sentinels know all', async () => {
        const state = await sentinel.command('SENTINEL', 'MASTER', SENTINEL_MASTER)
        const fact = (name) => state[state.indexOf(name) + 1]
        return (
          Number(fact('num-slaves')) === this.nodes.length - 1 &&
          Number(fact('num-other-sentinels')) === this.sentinels.length - 1
        )
      })
    }
  }

  /** Waits until every replica has what the first node, the master at the start, has now. */
  async inStep() {
    const [master, ...replicas] = this.nodes
    for (const replica of replicas) await replicated(master, replica)
  }

  /** The master, as the Sentinels say. */
  async master() {
    const [, port] = await this.sentinels[0].command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', SENTINEL_MASTER)
    const node = this.nodes.find((one) => one.port === Number(port))
    if (node === undefined) throw new Error(`redis: no node has port ${port}`)
    return node
  }

  /** Kills the master, once every replica has what it has, and returns it. */
  async killMaster() {
    const master = await this.master()
    for (const node of this.nodes) if (node !== master && node.running) await replicated(master, node)
    await master.kill()
    return master
  }

  /** Waits until the Sentinels name a master that runs and takes writes. */
  async promoted() {
    await until('another master', async () => {
      const master = await this.master()
      return master.running && (await master.facts('INFO', 'replication')).role === 'master'
    })
  }

  /** Ends every process and removes its folder. */
  async stop() {
    await Promise.all([...this.sentinels, ...this.nodes].map((node) => node.stop()))
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }
}
