import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Metadata } from '@grpc/grpc-js'
import { clientAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { throttle } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { callerContext } from '../fuzz/client-part.ts'
import { Observers } from '../fuzz/observers.ts'
import type { Stack } from '../fuzz/stacks.ts'
import { type CallingSide, openClient } from '../fuzz/worlds.ts'
import { answer } from '../hostile/attacked.ts'
import { Random } from '../random.ts'
import type { PartOptions, Section } from '../section.ts'
import { type Pattern, patterns } from '../service.ts'
import { delay, turns, until } from '../turns.ts'
import { type FromServer, MOMENT, type Moment, moments, type ToServer } from './moments.ts'

const happenings = [
  'killed (SIGKILL), then started again',
  'drained, then started again',
  'stopped (SIGSTOP) for a while',
  'stopped (SIGSTOP) until after the deadline',
] as const

type Happening = (typeof happenings)[number]

interface Case {
  readonly pattern: Pattern
  readonly moment: Moment
  readonly happening: Happening
}

const DEADLINE_MS = 20_000
/** Of calls that only their deadline ends. */
const SHORT_DEADLINE_MS = 1500
const STOPPED_MS = 300
/** Far more than a busy machine needs, and far less than a lost timer would take. */
const MARGIN_MS = 5000
const LANES = 3
const OK = 0
const DEADLINE_EXCEEDED = 4
const UNAVAILABLE = 14

const clientStacks: Readonly<Record<string, () => Stack>> = {
  bare: () => ({}),
  'full stack with retry()': () => {
    const observers = new Observers('client')
    return {
      client: [
        ...observers.interceptors,
        requestId(),
        retry({ idempotent: '*', maxAttempts: 4 }),
        circuitBreaker({ isFailure: () => false }),
        throttle({ rate: 1e6 }),
        clientAuth({ token: 'a-token', allowInsecure: true }),
      ],
      check: async ({ client, thrown }) => {
        const made = thrown === undefined ? 1 : 0
        return observers.disagreements({ least: made, most: made }, client?.code)
      },
    }
  },
}

/** Servers that are killed, stopped and started again at each moment of a call. */
export async function processes({ seed, quick, say }: PartOptions): Promise<Section> {
  const random = new Random(seed)
  const all = cases()
    .map((one) => ({ ...one, at: random.next() }))
    .sort((a, b) => a.at - b.at)
  const list = quick
    ? happenings.flatMap((happening) => all.filter((one) => one.happening === happening).slice(0, 3))
    : all
  const counts = new Map(happenings.map((happening) => [happening, { calls: 0, codes: new Map<number, number>() }]))
  let faults = 0
  const lane = async (): Promise<void> => {
    const lanes: Lane[] = []
    for (const [name, stack] of Object.entries(clientStacks)) lanes.push(await Lane.start(name, stack()))
    try {
      for (let one = list.shift(); one !== undefined; one = list.shift()) {
        for (const each of lanes) {
          const { code, wrong } = await each.run(one)
          const count = counts.get(one.happening)
          if (count !== undefined) {
            count.calls++
            count.codes.set(code ?? -1, (count.codes.get(code ?? -1) ?? 0) + 1)
          }
          if (wrong.length === 0) continue
          faults += wrong.length
          say(`\n${each.name}, ${one.pattern}, ${one.moment}, server ${one.happening}:`)
          for (const fault of wrong) say(`  ${fault}`)
        }
      }
    } finally {
      for (const each of lanes) await each.close()
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return {
    title:
      'Servers in processes of their own, to which something happens at a moment of a call (before and after headers, mid-stream, ' +
      `half-closed, after the last message), with clients of ${Object.keys(clientStacks).length} stacks (${Object.keys(clientStacks).join(', ')}):`,
    head: ['', 'calls', 'ended with (code: calls)'],
    rows: [...counts].map(([happening, { calls, codes }]) => [
      happening,
      calls,
      [...codes]
        .sort(([a], [b]) => a - b)
        .map(([code, times]) => `${code}: ${times}`)
        .join(', '),
    ]),
    calls: [...counts.values()].reduce((sum, { calls }) => sum + calls, 0),
    faults,
  }
}

function cases(): Case[] {
  const reached: Readonly<Record<Pattern, readonly Moment[]>> = {
    unary: ['before headers', 'after headers'],
    clientStream: ['before headers', 'after headers', 'mid-stream', 'half-closed'],
    serverStream: ['before headers', 'after headers', 'mid-stream', 'after the last message'],
    bidi: moments,
  }
  return patterns.flatMap((pattern) =>
    reached[pattern].flatMap((moment) => happenings.map((happening) => ({ pattern, moment, happening }))),
  )
}

/** A client of one stack, and the server process it calls. */
class Lane {
  readonly name: string
  readonly #client: CallingSide
  #server: ServedProcess

  private constructor(name: string, client: CallingSide, server: ServedProcess) {
    this.name = name
    this.#client = client
    this.#server = server
  }

  static async start(name: string, stack: Stack): Promise<Lane> {
    const server = await ServedProcess.start(name, 0, true)
    return new Lane(name, openClient(name, stack, server.port), server)
  }

  async run({ pattern, moment, happening }: Case): Promise<{ code: number | undefined; wrong: string[] }> {
    const untilDeadline = happening === 'stopped (SIGSTOP) until after the deadline'
    const deadlineMs = untilDeadline ? SHORT_DEADLINE_MS : DEADLINE_MS
    const metadata = new Metadata({ waitForReady: true })
    metadata.set(MOMENT, moment)
    const there = this.#server.reaches()
    const begun = performance.now()
    const call = this.#open(pattern, metadata, deadlineMs)
    const streams = pattern === 'clientStream' || pattern === 'bidi'
    const ends = moment === 'half-closed' || moment === 'after the last message'
    if (streams) {
      call.write({ n: 1, size: 1000 }, false)
      call.write({ n: 2, size: 1000 }, false)
      if (ends) call.halfClose()
    }
    const wrong: string[] = []
    if (!(await Promise.race([there, delay(DEADLINE_MS).then(() => false)]))) wrong.push(`"${moment}" did not come`)
    const { port } = this.#server
    let ended = true
    if (happening === 'stopped (SIGSTOP) for a while' || untilDeadline) {
      this.#server.signal('SIGSTOP')
      if (untilDeadline) ended = await until(() => call.isOver, deadlineMs + MARGIN_MS)
      else await delay(STOPPED_MS)
      this.#server.signal('SIGCONT')
      this.#server.tell('go on')
    } else {
      if (happening === 'drained, then started again') this.#server.tell('drain')
      else this.#server.signal('SIGKILL')
      await this.#server.gone
      this.#server = await ServedProcess.start(this.name, port, false)
    }
    if (streams && !ends && !call.isOver) call.halfClose()
    if (!untilDeadline) ended = await until(() => call.isOver, deadlineMs + MARGIN_MS)
    const tookMs = performance.now() - begun
    await turns(4)
    if (!ended) wrong.push('the call did not end')
    if (tookMs > deadlineMs + MARGIN_MS) wrong.push(`the call took ${Math.round(tookMs)} ms`)
    const { code, events, violations } = call
    const statuses = events.filter((event) => event.startsWith('status ')).length
    if (statuses !== 1) wrong.push(`the application got ${statuses} statuses`)
    wrong.push(...violations, ...(await this.#client.check({ client: call, handlers: 0, thrown: undefined })))
    if (code === undefined || !this.#expected(happening).includes(code))
      wrong.push(`the call ended with ${code}: ${call.details}`)
    if (happening.startsWith('stopped')) wrong.push(...(await this.#leftInServer()))
    else {
      // It was started only to show that calls go on.
      wrong.push(...(await this.#nextCall(pattern)))
      await this.#server.stop()
      this.#server = await ServedProcess.start(this.name, port, true)
    }
    wrong.push(...(await this.#nextCall(pattern)))
    return { code, wrong }
  }

  async close(): Promise<void> {
    this.#client.close()
    await this.#server.stop()
  }

  /** With retry(), a call of which nothing was delivered is made again. */
  #expected(happening: Happening): readonly number[] {
    if (happening === 'stopped (SIGSTOP) for a while') return [OK]
    if (happening === 'stopped (SIGSTOP) until after the deadline') return [DEADLINE_EXCEEDED]
    return this.name === 'bare' ? [UNAVAILABLE] : [UNAVAILABLE, OK]
  }

  #open(pattern: Pattern, metadata: Metadata, deadlineMs: number): ReturnType<CallingSide['open']> {
    const single = pattern === 'unary' || pattern === 'serverStream'
    return callerContext.run(`process ${pattern}`, () =>
      this.#client.open({
        pattern,
        request: single ? { n: 1, size: 1000 } : undefined,
        metadata,
        options: { deadline: Date.now() + deadlineMs },
      }),
    )
  }

  async #nextCall(pattern: Pattern): Promise<string[]> {
    const call = this.#open(pattern, new Metadata({ waitForReady: true }), DEADLINE_MS)
    if (pattern === 'clientStream' || pattern === 'bidi') call.halfClose()
    await until(() => call.isOver, DEADLINE_MS + MARGIN_MS)
    await this.#client.check({ client: call, handlers: 0, thrown: undefined })
    return call.code === OK ? [] : [`the next call ended with ${call.code}: ${call.details}`]
  }

  async #leftInServer(): Promise<string[]> {
    const end = performance.now() + MARGIN_MS
    for (;;) {
      const { handlers, wrong } = await this.#server.held()
      if (handlers === 0) return [...wrong]
      if (performance.now() > end) return [`${handlers} handlers still run`, ...wrong]
      await delay(20)
    }
  }
}

class ServedProcess {
  readonly port: number
  readonly gone: Promise<void>
  readonly #process: ChildProcess

  private constructor(process: ChildProcess, port: number) {
    this.#process = process
    this.port = port
    this.gone = new Promise((resolve) => process.once('exit', () => resolve()))
  }

  static async start(stack: string, port: number, waits: boolean): Promise<ServedProcess> {
    const main = fileURLToPath(new URL('./served-process.js', import.meta.url))
    const args = [stack === 'bare' ? 'bare' : 'full stack', String(port), waits ? 'waits' : 'answers']
    const process = fork(main, args)
    const { port: bound } = await answer<{ port: number }>(process)
    return new ServedProcess(process, bound)
  }

  /** Resolves when a handler has come to its moment. */
  async reaches(): Promise<boolean> {
    return 'at' in (await answer<FromServer>(this.#process))
  }

  async held(): Promise<Extract<FromServer, { handlers: number }>> {
    this.tell('held')
    return await answer(this.#process)
  }

  tell(message: ToServer): void {
    this.#process.send(message)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.gone
  }
}
