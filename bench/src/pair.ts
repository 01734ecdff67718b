import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Conditions, usual, VARIABLE } from './conditions.ts'
import type { LoadResult, Pace } from './load.ts'
import type { Question } from './peer.ts'
import type { Shares } from './profile.ts'
import { type Scenario, taken, type VariantName } from './variant.ts'

const PEER = fileURLToPath(new URL('./peer.js', import.meta.url))

/** A process that waits for its turn must come back as it left: V8 would shrink the heap of an idle one, and forget code. */
const STAY_WARM = ['--no-memory-reducer', '--no-flush-bytecode']

/** Ended calls are freed by minor collections. */
const FREE_ENDED_CALLS = ['--import', import.meta.resolve('@grpc-stack/free-ended-calls/register')]

export interface PairOptions {
  readonly conditions?: Conditions
  readonly nodeFlags?: readonly string[]
  /** Is told what V8 writes of each side, if it was given a flag to trace something. */
  readonly heard?: (side: 'client' | 'server', text: string) => void
}

/** A client process and a server process of one variant. */
export class Pair {
  readonly name: VariantName
  readonly refuses: boolean
  readonly #server: ChildProcess
  readonly #client: ChildProcess

  private constructor(name: VariantName, refuses: boolean, server: ChildProcess, client: ChildProcess) {
    this.name = name
    this.refuses = refuses
    this.#server = server
    this.#client = client
  }

  static async start(
    name: VariantName,
    { conditions = usual, nodeFlags = [], heard }: PairOptions = {},
  ): Promise<Pair> {
    const preload = taken(name).retention ? FREE_ENDED_CALLS : []
    const options = {
      env: { ...process.env, [VARIABLE]: JSON.stringify(conditions) },
      execArgv: ['--expose-gc', ...STAY_WARM, ...nodeFlags, ...preload],
      stdio: ['ignore', heard === undefined ? 'ignore' : 'pipe', 'inherit', 'ipc'] as never,
    }
    const server = fork(PEER, ['server', name], options)
    if (heard !== undefined) server.stdout?.setEncoding('utf8').on('data', (text: string) => heard('server', text))
    const { port, refuses } = (await firstMessage(server)) as { port: number; refuses: boolean }
    const client = fork(PEER, ['client', name, String(port)], options)
    if (heard !== undefined) client.stdout?.setEncoding('utf8').on('data', (text: string) => heard('client', text))
    await firstMessage(client)
    return new Pair(name, refuses, server, client)
  }

  async load(
    scenario: Scenario,
    operations: number,
    pace: Pace = {},
  ): Promise<LoadResult & { readonly serverCpuUs: number }> {
    const before = (await ask(this.#server, { ask: 'cpu' })) as number
    const result = (await ask(this.#client, { ask: 'load', scenario, operations, pace })) as LoadResult
    const after = (await ask(this.#server, { ask: 'cpu' })) as number
    return { ...result, serverCpuUs: after - before }
  }

  /** Bytes of heap in use on the client and on the server, after a collection if asked. */
  async heap(collect: boolean): Promise<{ client: number; server: number }> {
    const question: Question = { ask: 'heap', collect }
    return {
      client: (await ask(this.#client, question)) as number,
      server: (await ask(this.#server, question)) as number,
    }
  }

  async startProfile(): Promise<void> {
    for (const child of [this.#client, this.#server]) await ask(child, { ask: 'profile', stop: false })
  }

  /** Whose code each side ran since it was started. */
  async stopProfile(): Promise<{ client: Shares; server: Shares }> {
    const stop: Question = { ask: 'profile', stop: true }
    return {
      client: (await ask(this.#client, stop)) as Shares,
      server: (await ask(this.#server, stop)) as Shares,
    }
  }

  async startCounting(): Promise<void> {
    for (const child of [this.#client, this.#server]) await ask(child, { ask: 'resources', stop: false })
  }

  /** Asynchronous resources that each side has made since. */
  async stopCounting(): Promise<{ client: number; server: number }> {
    const stop: Question = { ask: 'resources', stop: true }
    return {
      client: (await ask(this.#client, stop)) as number,
      server: (await ask(this.#server, stop)) as number,
    }
  }

  async hold(kind: 'unary' | 'bidi', count: number): Promise<void> {
    await ask(this.#client, { ask: 'hold', kind, count })
  }

  async stop(): Promise<void> {
    for (const child of [this.#client, this.#server]) {
      if (child.exitCode !== null) continue
      const gone = once(child, 'exit')
      child.disconnect()
      await gone
    }
  }
}

async function firstMessage(child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a benchmark process ended with code ${code}`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      resolve(message)
    })
  })
}

function ask(child: ChildProcess, question: Question): Promise<unknown> {
  const answer = firstMessage(child)
  child.send(question)
  return answer
}
