import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code, Metadata } from '@grpc/grpc-js'
import type { Call } from '@grpc-stack/grpc-core'
import { runRpc, startTestServer, type TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { type RateLimitInterceptor, type RateLimitOptions, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { redisStore } from '@grpc-stack/interceptor-ratelimit/redis'
import type { Connection } from './clients.ts'

/** Counts by what a caller says of itself. Its counters live in the slot of `{caller}`. */
export const byCaller = (call: Call): string => String(call.metadata.get('caller')[0])

/** A number of calls that no limit of these tests gives back while they run. */
export const PER_DAY = { rate: 1, perMs: 86_400_000 } as const

/** A gRPC server behind limits that it keeps in Redis, and a client of it. */
export class LimitedServer implements AsyncDisposable {
  readonly limit: RateLimitInterceptor
  /** The parts of the store that the limiter took for down, each time it did. */
  readonly down: string[] = []
  readonly #server: TestServer
  readonly #client: TestClient
  readonly #connection: Connection
  readonly #loads: Load[] = []

  private constructor(limit: RateLimitInterceptor, server: TestServer, connection: Connection) {
    this.limit = limit
    limit.on('storeDown', ({ partition }) => this.down.push(partition))
    this.#server = server
    this.#client = server.client()
    this.#connection = connection
  }

  /** @param prefix of its keys: servers of the same one share their limits */
  static async start(connection: Connection, prefix: string, options: RateLimitOptions): Promise<LimitedServer> {
    const limit = rateLimit({ ...options, store: redisStore(connection.client, { prefix }) })
    return new LimitedServer(limit, await startTestServer({ interceptors: [limit] }), connection)
  }

  /** One call. */
  async call(caller: string): Promise<Code> {
    const metadata = new Metadata()
    metadata.set('caller', caller)
    const { status } = await runRpc(this.#client, 'unary', { metadata })
    return status?.code ?? Code.UNKNOWN
  }

  /** So many calls, all at once, and how many of them were admitted. */
  async burst(caller: string, count: number): Promise<number> {
    const codes = await Promise.all(Array.from({ length: count }, () => this.call(caller)))
    return codes.filter((code) => code === Code.OK).length
  }

  /** Calls in turn for each of several callers, some at a time, until it is told to stop or the server ends. */
  load(callers: readonly string[]): Load {
    const load = new Load(this, callers)
    this.#loads.push(load)
    return load
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()))
    await this.#server.stop()
    await this.#connection.close()
  }
}

interface Answer {
  readonly caller: string
  readonly code: Code
  readonly atMs: number
}

/** What became of the calls of `LimitedServer.load`. */
class Load {
  readonly answers: Answer[] = []
  readonly #callers: readonly string[]
  readonly #workers: readonly Promise<void>[]
  #running = true
  #turn = 0

  constructor(server: LimitedServer, callers: readonly string[]) {
    this.#callers = callers
    this.#workers = Array.from({ length: 4 }, () => this.#work(server))
  }

  async #work(server: LimitedServer): Promise<void> {
    while (this.#running) {
      const caller = this.#callers[this.#turn++ % this.#callers.length] as string
      const code = await server.call(caller)
      this.answers.push({ caller, code, atMs: performance.now() })
      // What is measured is a share of calls, not how many a machine can make.
      await sleep(5)
    }
  }

  /** Waits until a caller in this list is admitted, with a call made from now on. */
  async admitted(callers: readonly string[]): Promise<number> {
    const from = this.answers.length
    const fits = ({ caller, code }: Answer): boolean => code === Code.OK && callers.includes(caller)
    while (this.#running) {
      const found = this.answers.slice(from).find(fits)
      if (found !== undefined) return found.atMs
      await sleep(5)
    }
    throw new Error(`the server ended before it admitted one of ${callers.join(', ')}`)
  }

  async stop(): Promise<readonly Answer[]> {
    this.#running = false
    await Promise.all(this.#workers)
    return this.answers
  }
}

/** `12 of 340 (3.5 %)` */
export function share(answers: readonly Answer[], isIt: (answer: Answer) => boolean): { text: string; part: number } {
  const count = answers.filter(isIt).length
  const part = answers.length === 0 ? 0 : count / answers.length
  return { text: `${count} of ${answers.length} (${(100 * part).toFixed(1)} %)`, part }
}
