// Real Redis for tests and for the demo: a Redis Cluster, and a master with replicas that Sentinels watch. Every node is a
// process of its own on free ports of 127.0.0.1, with a folder of its own, and can be killed, paused and started again.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Why no Redis can be started here, or undefined. */
export const redisMissing = missing('redis-server')

/** Why no Sentinel can be started here, or undefined. */
export const sentinelMissing = redisMissing ?? missing('redis-sentinel')

function missing(program) {
  if (spawnSync(program, ['--version']).status === 0) return undefined
  return `${program} is not on the PATH; install it with: apt-get install ${program}`
}

const HOST = '127.0.0.1'

// Once this process is gone, however that happens: ends what it has started, and removes the folder. SIGKILL ends what is paused, too.
const WATCH = `
trap '' INT TERM HUP
running=' '
while read sign pid; do
  case $sign in
    +) running="$running$pid " ;;
    -) running="\${running%% $pid *} \${running#* $pid }" ;;
  esac
done
[ -z "\${running# }" ] || kill -KILL $running
rm -rf "$0"
`

/** The folder of this process, and where its watch is told what runs. */
const watched = once(() => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-stack-redis-'))
  const watch = spawn('sh', ['-c', WATCH, folder], { stdio: ['pipe', 'ignore', 'inherit'], detached: true })
  watch.unref()
  return { folder, tell: (/** @type {'+' | '-'} */ sign, pid) => watch.stdin.write(`${sign} ${pid}\n`) }
})

/**
 * @template T
 * @param {() => T} make
 * @returns {() => T}
 */
function once(make) {
  let made
  return () => {
    made ??= make()
    return made
  }
}

/** One process of Redis. */
export class RedisNode {
  #program
  #settings
  #dir
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child

  /**
   * @param {string} program
   * @param {(node: RedisNode) => readonly string[]} settings its lines of redis.conf
   */
  constructor(program, settings) {
    this.#program = program
    this.#settings = settings
    this.#dir = mkdtempSync(join(watched().folder, 'node-'))
    this.host = HOST
    this.port = 0
    /** Its id in a cluster. */
    this.id = ''
  }

  get url() {
    return `redis://${HOST}:${this.port}`
  }

  get pid() {
    return this.#child?.pid
  }

  get running() {
    return this.#child !== undefined
  }

  /** On ports that are free. */
  async start() {
    for (let attempt = 1; ; attempt++) {
      this.port = somePort()
      // Sentinels keep what they learn in this file, and nodes of a cluster beside it.
      writeFileSync(join(this.#dir, 'redis.conf'), `${this.#lines().join('\n')}\n`)
      try {
        return await this.restart()
      } catch (error) {
        if (attempt === 10 || !String(error).includes('in use')) throw error
      }
    }
  }

  #lines() {
    return [`port ${this.port}`, `bind ${HOST}`, `dir ${this.#dir}`, 'protected-mode no', ...this.#settings(this)]
  }

  /** Where it was, with what it remembers of the others, and without data. */
  async restart() {
    // In a group of its own: Ctrl-C in a terminal is for what started it, which decides when it ends.
    const child = spawn(this.#program, [join(this.#dir, 'redis.conf')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    this.#child = child
    if (child.pid !== undefined) watched().tell('+', child.pid)
    child.once('exit', () => {
      watched().tell('-', child.pid)
      if (this.#child === child) this.#child = undefined
    })
    let log = ''
    await new Promise((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        // Read to the end, so that the pipe never fills; kept until it is ready.
        if (log === undefined) return
        log += chunk
        if (!/Ready to accept connections|Sentinel ID is/.test(log)) return
        log = undefined
        resolve(undefined)
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`${this.#program} ended with ${code}: ${log}`)))
    })
  }

  /** Ends it as a crash would. */
  async kill() {
    const child = this.#child
    if (child === undefined) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  /** It keeps its connections, accepts new ones, and answers nothing. */
  pause() {
    this.#child?.kill('SIGSTOP')
  }

  resume() {
    this.#child?.kill('SIGCONT')
  }

  /** Ends it and removes its folder. */
  async stop() {
    await this.kill()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  /**
   * Sends one command, on a connection of its own.
   * @param {readonly (string | number)[]} words
   * @returns {Promise<any>} strings, numbers, null and lists of them
   */
  command(...words) {
    return new Promise((resolve, reject) => {
      const socket = createConnection(this.port, HOST)
      let received = Buffer.alloc(0)
      const end = (settle) => {
        socket.destroy()
        settle()
      }
      socket.setTimeout(5000, () => end(() => reject(new Error(`${words[0]}: no answer from ${this.url}`))))
      socket.once('error', (error) => end(() => reject(error)))
      socket.once('close', () => reject(new Error(`${words[0]}: ${this.url} closed the connection`)))
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        const reply = readReply(received, 0)
        if (reply === undefined) return
        const { value } = reply
        end(() => (value instanceof Error ? reject(value) : resolve(value)))
      })
      const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
      socket.write(`*${words.length}\r\n${parts.join('')}`)
    })
  }

  /** What `INFO` or `CLUSTER INFO` answers, by name. */
  async facts(...words) {
    const lines = (await this.command(...words)).split('\r\n')
    return Object.fromEntries(lines.map((line) => [line.split(':', 1)[0], line.slice(line.indexOf(':') + 1)]))
  }
}

/** The reply of RESP 2 that begins at `start`, and where it ends; undefined while it is not complete. */
function readReply(bytes, start) {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const line = bytes.toString('utf8', start + 1, lineEnd)
  let end = lineEnd + 2
  switch (String.fromCharCode(bytes[start])) {
    case '-':
      return { value: new Error(line), end }
    case ':':
      return { value: Number(line), end }
    case '$': {
      const length = Number(line)
      if (length < 0) return { value: null, end }
      if (bytes.length < end + length + 2) return undefined
      return { value: bytes.toString('utf8', end, end + length), end: end + length + 2 }
    }
    case '*': {
      const value = []
      for (let left = Number(line); left > 0; left--) {
        const item = readReply(bytes, end)
        if (item === undefined) return undefined
        value.push(item.value)
        end = item.end
      }
      return { value, end }
    }
    default:
      return { value: line, end }
  }
}

/**
 * An even one, so that the bus of a cluster has the next. Below the ports the system hands out: a client that keeps
 * connecting to one of those while nothing listens there ends up connected to itself, and the port is gone.
 */
function somePort() {
  return 15_000 + 2 * Math.floor(Math.random() * 7500)
}

/** Waits until it holds. What fails meanwhile, such as a command to a node that is not there, is asked again. */
async function until(what, holds, longestMs = 20_000) {
  const giveUpAt = performance.now() + longestMs
  for (let why = ''; ; await sleep(20)) {
    if (performance.now() > giveUpAt) throw new Error(`redis-nodes: not within ${longestMs} ms: ${what}${why}`)
    try {
      if (await holds()) return
      why = ''
    } catch (error) {
      why = ` (${error.message})`
    }
  }
}

/** Waits until a replica has what its master has now. */
async function replicated(master, replica) {
  const { master_repl_offset } = await master.facts('INFO', 'replication')
  await until(`${replica.url} is in step with ${master.url}`, async () => {
    const { master_link_status, slave_repl_offset } = await replica.facts('INFO', 'replication')
    return master_link_status === 'up' && Number(slave_repl_offset) >= Number(master_repl_offset)
  })
}

const SLOTS = 16_384
/** Replicas copy their master without a pause, and nothing is written to disk. */
const MEMORY_ONLY = ['save ""', 'repl-diskless-sync yes', 'repl-diskless-sync-delay 0']

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
    if (node === undefined) throw new Error(`redis-nodes: no node has slot ${slot}`)
    return node
  }

  /** The replica of a master, the first if there are several. */
  async replicaOf(master) {
    const known = parseNodes(await master.command('CLUSTER', 'NODES'))
    const follower = known.find(({ follows }) => follows === master.id)
    const node = this.nodes.find(({ id }) => id === follower?.id)
    if (node === undefined) throw new Error(`redis-nodes: ${master.url} has no replica`)
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
    if (to === undefined) throw new Error('redis-nodes: there is no other master')
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
    if (node === undefined) throw new Error('redis-nodes: no node runs')
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
    if (node === undefined) throw new Error(`redis-nodes: no node has port ${port}`)
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
