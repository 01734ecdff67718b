import { createServer, type Http2Session } from 'node:http2'
import { Metadata } from '@grpc/grpc-js'
import type { ClientPart } from '../fuzz/client-part.ts'
import { callerContext } from '../fuzz/client-part.ts'
import { stacks } from '../fuzz/stacks.ts'
import { type CallingSide, openClient, stackNamed } from '../fuzz/worlds.ts'
import { Random } from '../random.ts'
import { type Pattern, patterns } from '../service.ts'
import { delay, turns, until } from '../turns.ts'
import { type FrameAnswer, FramePeer, frameAnswers } from './frame-peer.ts'
import { type Answer, answers } from './raw-answers.ts'

export interface RawPeerResult {
  /** Calls by kind of answer. */
  readonly calls: ReadonlyMap<string, number>
  readonly compared: number
  readonly failures: number
}

/** Most answers end the call long before. */
const DEADLINE_MS = 1500
const ON_TIME_MS = DEADLINE_MS + 5000
const REPEATS = 3
/** Node does not end a connection of which it reads no more since its peer broke a rule: only keepalive does. */
const KEEPALIVE = {
  'grpc.keepalive_time_ms': 1000,
  'grpc.keepalive_timeout_ms': 1000,
  'grpc.keepalive_permit_without_calls': 1,
}
const NEXT_CALL_MS = 15_000
const NEXT_ATTEMPT_MS = 5000

export interface RawPeerOptions {
  /** Decides the order. */
  readonly seed: number
  readonly ms: number
  /** Each answer to each client; otherwise to every third, in turn. */
  readonly all: boolean
  readonly say: (line: string) => void
}

/** A peer that gives one answer to all calls, until it is told to give another one. */
export interface AnsweringPeer<A> {
  readonly port: number
  give(answer: A): Promise<void>
  close(): void
}

interface Answers<A> {
  readonly start: () => Promise<AnsweringPeer<A>>
  /** By name. Those of one kind have the same name up to the colon. */
  readonly all: ReadonlyMap<string, A>
  /** One to a call that works. */
  readonly good: A
}

/** Clients against a peer on Node's HTTP/2, which answers what no gRPC server would. */
export function rawPeer(options: RawPeerOptions): Promise<RawPeerResult> {
  return againstPeer(options, { start: Peer.start, all: answers, good: GOOD })
}

/** Clients against a peer that writes the frames of HTTP/2 itself, and breaks its rules. */
export function framePeer(options: RawPeerOptions): Promise<RawPeerResult> {
  const good = frameAnswers.get('settings: none') as FrameAnswer // it is there
  return againstPeer(options, { start: FramePeer.start, all: frameAnswers, good })
}

async function againstPeer<A>({ seed, ms, all, say }: RawPeerOptions, known: Answers<A>): Promise<RawPeerResult> {
  const calls = new Map<string, number>()
  const told = new Set<string>()
  let failures = 0
  let compared = 0
  const end = performance.now() + ms
  const random = new Random(seed)
  const list = [...known.all]
    .flatMap(([name, answer]) => patterns.map((pattern) => ({ name, answer, pattern, at: random.next() })))
    .sort((a, b) => a.at - b.at)
  let turn = 0
  const lane = async (): Promise<void> => {
    const peer = await known.start()
    const clients = Object.keys(stacks).map((name) =>
      openClient(name, stackNamed(name), peer.port, { options: KEEPALIVE }),
    )
    const bare = openClient('bare', {}, peer.port, { options: KEEPALIVE })
    try {
      for (let next = list.shift(); next !== undefined && performance.now() < end; next = list.shift()) {
        const { name, pattern } = next
        turn++
        const expected = await bareAnswers(bare, peer, next)
        for (const [index, client] of clients.entries()) {
          if (!all && index % 3 !== turn % 3) continue
          const kind = name.split(':')[0] ?? name
          calls.set(kind, (calls.get(kind) ?? 0) + 1)
          if (expected.steady) compared++
          // What depends on how busy the machine is does not happen three times in a row.
          let faults: string[] = []
          for (let i = 0; i < REPEATS && (i === 0 || faults.length > 0); i++) {
            faults = await faultsOf(client, peer, { ...next, good: known.good }, expected)
          }
          if (faults.length === 0) continue
          failures++
          const what = `${kind}: ${faults[0]}`.replace(/\d+/g, '#')
          if (told.has(what)) continue
          told.add(what)
          say(`\n${name}, ${pattern}, ${client.name}:`)
          for (const fault of faults) say(`  ${fault}`)
        }
      }
    } finally {
      for (const client of [...clients, bare]) client.close()
      peer.close()
    }
  }
  await Promise.all(Array.from({ length: 6 }, lane))
  return { calls, compared, failures }
}

interface Question<A> {
  readonly answer: A
  readonly pattern: Pattern
}

interface Expected {
  readonly events: readonly string[]
  readonly code: number | undefined
  readonly steady: boolean
}

/** What a client without interceptors makes of an answer. */
async function bareAnswers<A>(
  bare: CallingSide,
  peer: AnsweringPeer<A>,
  { answer, pattern }: Question<A>,
): Promise<Expected> {
  await peer.give(answer)
  const { events, code } = await call(bare, pattern, DEADLINE_MS)
  await peer.give(answer)
  const again = await call(bare, pattern, DEADLINE_MS)
  return { events, code, steady: String(events) === String(again.events) && code !== DEADLINE_EXCEEDED }
}

const DEADLINE_EXCEEDED = 4
const UNKNOWN = 2

/** grpc-js takes over any number; here a code that is none is UNKNOWN. */
const valid = (code: number | undefined): number | undefined =>
  code === undefined || (Number.isInteger(code) && code >= 0 && code <= 16) ? code : UNKNOWN

async function faultsOf<A>(
  client: CallingSide,
  peer: AnsweringPeer<A>,
  { answer, pattern, good }: Question<A> & { readonly good: A },
  bare: Expected,
): Promise<string[]> {
  await peer.give(answer)
  const part = await call(client, pattern, DEADLINE_MS)
  const { events, violations, code, tookMs } = part
  const faults = [...violations, ...(await client.check({ client: part, handlers: 0, thrown: undefined }))]
  const statuses = events.filter((event) => event.startsWith('status ')).length
  if (statuses !== 1) faults.push(`the application got ${statuses} statuses`)
  if (tookMs > ON_TIME_MS) faults.push(`the call took ${Math.round(tookMs)} ms`)
  if (bare.steady) {
    const wholly = client.compares === 'everything' && client.headersWithResponse !== true
    const differs = wholly ? bare.events.findIndex((event, at) => event !== events[at]) : -1
    if (differs >= 0) faults.push(`bare has "${bare.events[differs]}", this "${events[differs]}"`)
    else if (valid(code) !== valid(bare.code)) faults.push(`bare ends with ${bare.code}, this with ${code}`)
  }
  await peer.give(good)
  const next = await nextCall(client, pattern)
  if (next.code !== 0) faults.push(`the next call ended with ${next.code}: ${next.details}`)
  return faults
}

const GOOD = answers.get('content: empty message') as Answer // it is there

/** A call or two may still meet the connection that was just broken, until keepalive finds it dead. */
async function nextCall(client: CallingSide, pattern: Pattern): Promise<Ended> {
  const end = performance.now() + NEXT_CALL_MS
  for (;;) {
    const next = await call(client, pattern, NEXT_ATTEMPT_MS)
    await client.check({ client: next, handlers: 0, thrown: undefined })
    if (next.code === 0 || performance.now() > end) return next
    await delay(20)
  }
}

type Ended = ClientPart & { readonly tookMs: number }

async function call(client: CallingSide, pattern: Pattern, deadlineMs: number): Promise<Ended> {
  const begun = performance.now()
  const metadata = new Metadata({ waitForReady: true })
  const single = pattern === 'unary' || pattern === 'serverStream'
  const request = { n: 0, size: 10 }
  const part: ClientPart = await callerContext.run(`raw ${pattern}`, async () => {
    const opened = client.open({
      pattern,
      request: single ? request : undefined,
      metadata,
      options: { deadline: Date.now() + deadlineMs },
    })
    if (!single) {
      opened.write(request, false)
      opened.halfClose()
    }
    await until(() => opened.isOver, deadlineMs + 5000)
    await turns(4)
    return opened
  })
  return Object.assign(part, { tookMs: performance.now() - begun })
}

class Peer implements AnsweringPeer<Answer> {
  #answer: Answer = (stream) => stream.resume()
  readonly #server = createServer({ settings: { maxHeaderListSize: 65_536 } })
  readonly #sessions = new Set<Http2Session>()

  static async start(): Promise<Peer> {
    const peer = new Peer()
    peer.#server.on('session', (session) => {
      peer.#sessions.add(session)
      session.on('error', () => undefined)
      session.on('close', () => peer.#sessions.delete(session))
    })
    peer.#server.on('stream', (stream) => {
      stream.on('error', () => undefined) // a client that goes away is no concern of this peer
      try {
        peer.#answer(stream)
      } catch (error) {
        stream.close()
        throw error
      }
    })
    await new Promise<void>((resolve) => peer.#server.listen(0, '127.0.0.1', resolve))
    return peer
  }

  get port(): number {
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') throw new Error('the peer listens on no port')
    return bound.port
  }

  give(answer: Answer): Promise<void> {
    this.#answer = answer
    return Promise.resolve()
  }

  close(): void {
    for (const session of this.#sessions) session.destroy()
    this.#server.close()
  }
}
