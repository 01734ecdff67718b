// A real Redis Cluster for tests and for the demo.
import { MEMORY_ONLY, RedisNode, replicated, until } from './node.mjs'

const SLOTS = 16_384

/**
 * Starts a Redis Cluster of masters with their replicas, all of them knowing each other and in step.
 * @param {{ masters?: number, replicas?: number, nodeTimeoutMs?: number, settings?: readonly string[] }} [options]
 *   `nodeTimeoutMs`: how long a node is silent before others take it for dead. A replica takes over about a second later.
 */
export async function startCluster({ masters = 3, replicas = 1, nodeTimeoutMs = 1000, settings = [] } = {}) {
  const lines = ({ port }) => [
    ...MEMORY_ONLY,
    'cluster-enabled yes',
    `cluster-port ${port + 1}`,
    `cluster-node-timeout ${nodeTimeoutMs}`,
    'cluster-replica-validity-factor 0',
    // By default the whole cluster refuses commands while one slot has no master.
    'cluster-require-full-coverage no',
    ...settings,
  ]
  const nodes = Array.from({ length: masters * (1 + replicas) }, () => new RedisNode('redis-server', lines))
  const cluster = new RedisCluster(nodes)
  try {
    await Promise.all(nodes.map((node) => node.start()))
    await cluster.form(masters)
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** The nodes of a cluster. Which of them are masters changes as they fail. */
export class RedisCluster {
  /** @param {readonly RedisNode[]} nodes */
  constructor(nodes) {
    this.nodes = nodes
  }

  get urls() {
    return this.nodes.map(({ url }) => url)
  }

  /** Makes a cluster of nodes that were just started: the first ones share the slots, the others follow one each. */
  async form(masters) {
    const [first] = this.nodes
    const leaders = this.nodes.slice(0, masters)
    for (const [i, node] of this.nodes.entries()) {
      node.id = await node.command('CLUSTER', 'MYID')
      await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    }
    for (const [i, node] of leaders.entries()) {
      const from = Math.floor((SLOTS * i) / masters)
      const to = Math.floor((SLOTS * (i + 1)) / masters)
      await node.command('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to - from }, (_, k) => from + k))
    }
    for (const { host, port } of this.nodes.slice(1)) await first.command('CLUSTER', 'MEET', host, port, port + 1)
    await this.#each('all know each other', async (node) => {
      const known = parseNodes(await node.command('CLUSTER', 'NODES'))
      return known.length === this.nodes.length && known.every(({ flags }) => !flags.includes('handshake'))
    })
    for (const [i, node] of this.nodes.slice(masters).entries()) {
      await node.command('CLUSTER', 'REPLICATE', leaders[i % masters].id)
    }
    await this.healthy()
  }

  /** Waits until every node runs, agrees that all is well, and replicas are in step with their masters. */
  async healthy() {
    await this.#each('the cluster is well', async (node) => {
      const { cluster_state, cluster_slots_ok } = await node.facts('CLUSTER', 'INFO')
      const known = parseNodes(await node.command('CLUSTER', 'NODES'))
      const { role, master_link_status } = await node.facts('INFO', 'replication')
      return (
        cluster_state === 'ok' &&
        Number(cluster_slots_ok) === SLOTS &&
        known.length === this.nodes.length &&
        known.every(({ flags, linked }) => linked && !flags.some((flag) => flag.startsWith('fail'))) &&
        (role === 'master' || master_link_status === 'up')
      )
    })
  }

  async #each(what, holds) {
    for (const node of this.nodes) await until(what, () => holds(node))
  }

  /** The slot of a key, or of what is in its braces. */
  async slotOf(key) {
    return await this.#anyRunning().command('CLUSTER', 'KEYSLOT', key)
  }

  /** The master of a slot, as a node sees it that runs. */
  async masterOf(slot, seenBy = this.#anyRunning()) {
    const known = parseNodes(await seenBy.command('CLUSTER', 'NODES'))
    const owner = known.find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))
    const node = this.nodes.find(({ id }) => id === owner?.id)
    if (node === undefined) throw new Error(`redis: no node has slot ${slot}`)
    return node
  }

  /** The replica of a master, the first if there are several. */
  async replicaOf(master) {
    const known = parseNodes(await master.command('CLUSTER', 'NODES'))
    const follower = known.find(({ follows }) => follows === master.id)
    const node = this.nodes.find(({ id }) => id === follower?.id)
    if (node === undefined) throw new Error(`redis: ${master.url} has no replica`)
    return node
  }

  /** Kills the master of a slot, once its replica has what it has, and returns it. */
  async killMaster(slot) {
    const master = await this.masterOf(slot)
    await replicated(master, await this.replicaOf(master))
    await master.kill()
    return master
  }

  /** Waits until a slot has a master that runs, and every node that runs knows. */
  async promoted(slot) {
    for (const node of this.nodes.filter((one) => one.running)) {
      await until(`slot ${slot} has a master`, async () => {
        const { cluster_state } = await node.facts('CLUSTER', 'INFO')
        return cluster_state === 'ok' && (await this.masterOf(slot, node)).running
      })
    }
  }

  /**
   * Moves a slot from its master to another, key by key, as `redis-cli --cluster reshard` does.
   * @param {number} slot
   * @param {(stage: 'announced' | 'moving' | 'moved') => unknown} [at] waited for: before any key has moved, after each
   *   key, and when all have and the slot has not
   */
  async reshard(slot, at = () => undefined) {
    const from = await this.masterOf(slot)
    const masters = await this.masters()
    const to = masters.find((node) => node !== from)
    if (to === undefined) throw new Error('redis: there is no other master')
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    await at('announced')
    for (;;) {
      const [key] = await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 1)
      if (key === undefined) break
      await from.command('MIGRATE', to.host, to.port, key, 0, 5000)
      await at('moving')
    }
    await at('moved')
    // The new master first: were it the old one, it would send clients to a node that sends them back.
    for (const node of [to, from, ...masters.filter((one) => one !== from && one !== to)]) {
      await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    }
  }

  /** Those that have slots, as a node sees it that runs. */
  async masters() {
    const known = parseNodes(await this.#anyRunning().command('CLUSTER', 'NODES'))
    return this.nodes.filter((node) => known.some(({ id, slots }) => id === node.id && slots.length > 0))
  }

  #anyRunning() {
    const node = this.nodes.find(({ running }) => running)
    if (node === undefined) throw new Error('redis: no node runs')
    return node
  }

  /** Ends every node and removes its folder. */
  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  async [Symbol.asyncDispose]() {
    await this.stop()
  }
}

/** https://redis.io/docs/latest/commands/cluster-nodes/ */
function parseNodes(text) {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [id, , flags, follows, , , , link, ...slots] = line.split(' ')
      return {
        id,
        flags: flags.split(','),
        follows,
        linked: link === 'connected' || flags.includes('myself'),
        // Slots on the move stand there as [93->-node].
        slots: slots
          .filter((range) => !range.startsWith('['))
          .map((range) => range.split('-').map(Number))
          .map(([from, to = from]) => [from, to]),
      }
    })
}
