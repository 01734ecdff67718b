// A real Redis for tests and for the demo: a process on a free port of 127.0.0.1, with a folder of its own, that can be killed,
// paused and started again.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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

export const HOST = '127.0.0.1'

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
   * @param {string} name
   * @param {readonly (string | number)[]} words
   * @returns {Promise<any>} strings, numbers, null and lists of them
   */
  async command(name, ...words) {
    // Here, so that programs which start no Redis need no client of it.
    const { Redis } = await import('ioredis')
    const client = new Redis({
      host: HOST,
      port: this.port,
      lazyConnect: true,
      enableReadyCheck: false,
      disableClientInfo: true,
      retryStrategy: () => null,
      connectTimeout: 5000,
      commandTimeout: 5000,
    })
    let failure
    client.on('error', (error) => {
      failure = error
    })
    try {
      await client.connect()
      return await client.call(name, ...words)
    } catch (error) {
      throw new Error(`${name} to ${this.url}: ${(failure ?? error).message}`)
    } finally {
      client.disconnect()
    }
  }

  /** What `INFO` or `CLUSTER INFO` answers, by name. */
  async facts(...words) {
    const lines = (await this.command(...words)).split('\r\n')
    return Object.fromEntries(lines.map((line) => [line.split(':', 1)[0], line.slice(line.indexOf(':') + 1)]))
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
export async function until(what, holds, longestMs = 20_000) {
  const giveUpAt = performance.now() + longestMs
  for (let why = ''; ; await sleep(20)) {
    if (performance.now() > giveUpAt) throw new Error(`redis: not within ${longestMs} ms: ${what}${why}`)
    try {
      if (await holds()) return
      why = ''
    } catch (error) {
      why = ` (${error.message})`
    }
  }
}

/** Waits until a replica has what its master has now. */
export async function replicated(master, replica) {
  const { master_repl_offset } = await master.facts('INFO', 'replication')
  await until(`${replica.url} is in step with ${master.url}`, async () => {
    const { master_link_status, slave_repl_offset } = await replica.facts('INFO', 'replication')
    return master_link_status === 'up' && Number(slave_repl_offset) >= Number(master_repl_offset)
  })
}

/** Replicas copy their master without a pause, and nothing is written to disk. */
export const MEMORY_ONLY = ['save ""', 'repl-diskless-sync yes', 'repl-diskless-sync-delay 0']
