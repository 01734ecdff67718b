import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What strangers may hold at the same time: calls of one address, and all calls together. */
export const places = { peer: 50, all: 200 } as const

/** Connections without calls are closed after this. */
const idleMs = 2000
/** So are those that do not answer. A server that is busy reads answers late: a time too short would cost others their connection. */
const keepaliveMs = { time: 1000, timeout: 15_000 } as const

/** How long a connection may stay for which its client does nothing. */
export const longestConnectionMs: number = idleMs + keepaliveMs.time + keepaliveMs.timeout

/**
 * What servers that strangers reach should set. Keepalive also ends connections that Node 20 reads no more since their client broke a
 * rule of HTTP/2, and would keep for ever.
 */
export const connectionOptions = {
  'grpc.max_connection_idle_ms': idleMs,
  'grpc.keepalive_time_ms': keepaliveMs.time,
  'grpc.keepalive_timeout_ms': keepaliveMs.timeout,
} as const

export const streamOptions = { 'grpc.max_concurrent_streams': 100 } as const

/** Whose `x-forwarded-for` the server believes. */
export const TRUSTED_PROXY = '127.0.0.9'

/** The metadata that one limit counts by. */
export const TENANT = 'x-tenant'

/** What a server process holds. */
export interface Held {
  /** After a full garbage collection. */
  readonly heapBytes: number
  readonly rssBytes: number
  readonly connections: number
  /** Handlers that run. */
  readonly handlers: number
  /** Calls by the metrics, the log and the spans. */
  readonly started: number
  readonly ended: number
  readonly records: number
  readonly spans: number
  /** Methods that the metrics tell apart. */
  readonly methods: number
  /** Taken from the limits on calls at a time. */
  readonly places: number
  readonly byCode: Readonly<Record<string, number>>
}

/** A server in a process of its own. */
export class AttackedServer {
  readonly port: number
  readonly #process: ChildProcess
  /** Why the process ended, if it has. */
  exit: string | undefined

  private constructor(process: ChildProcess, port: number) {
    this.#process = process
    this.port = port
    process.once('exit', (code, signal) => {
      this.exit = `exit code ${code}, signal ${signal}`
    })
  }

  /** @param limited with limits, or with such as nothing reaches */
  static async start(limited: boolean): Promise<AttackedServer> {
    const main = fileURLToPath(new URL('./attacked-server.js', import.meta.url))
    const process = fork(main, [limited ? 'limited' : 'unlimited'])
    const { port } = await answer<{ port: number }>(process)
    return new AttackedServer(process, port)
  }

  async held(): Promise<Held> {
    if (this.exit !== undefined) throw new Error(`the server process has ended: ${this.exit}`)
    this.#process.send('held')
    return await answer<Held>(this.#process)
  }

  async stop(): Promise<void> {
    if (this.exit !== undefined) return
    const gone = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await gone
  }
}

/** The next message of a process. */
export function answer<T>(process: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void => {
      reject(new Error(`the process has ended: exit code ${code}, signal ${signal}`))
    }
    process.once('exit', ended)
    process.once('message', (message) => {
      process.off('exit', ended)
      resolve(message as T) // its own programs send nothing else
    })
  })
}
