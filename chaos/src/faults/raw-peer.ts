import { createServer, type Http2Session } from 'node:http2'
import { Metadata } from '@grpc/grpc-js'
import type { ClientPart } from '../fuzz/client-part.ts'
import { callerContext } from '../fuzz/client-part.ts'
import { stacks } from '../fuzz/stacks.ts'
import { type CallingSide, openClient, stackNamed } from '../fuzz/worlds.ts'
import { Random } from '../random.ts'
import { type Pattern, patterns } from '../service.ts'
import { turns, until } from '../turns.ts'
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
const NEXT_CALL_MS = 10_000

export interface RawPeerOptions {
  /** Decides the order. */
  readonly seed: number
  readonly ms: number
  /** Each answer to each client; otherwise to every third, in turn. */
  readonly all: boolean
  readonly say: (line: string) => void
}

/** Clients against a peer of bare HTTP/2 that answers what no gRPC server would. */
export async function rawPeer({ seed, ms, all, say }: RawPeerOptions): Promise<RawPeerResult> {
  const calls = new Map<string, number>()
  const told = new Set<string>()
  let failures = 0
  let compared = 0
  const end = performance.now() + ms
  const random = new Random(seed)
  const list = [...answers]
    .flatMap(([name, answer]) => patterns.map((pattern) => ({ name, answer, pattern, at: random.next() })))
    .sort((a, b) => a.at - b.at)
  let turn = 0
  const lane = async (): Promise<void> => {
    const peer = await Peer.start()
    const clients = Object.keys(stacks).map((name) => openClient(name, stackNamed(name), peer.port))
    const bare = openClient('bare', {}, peer.port)
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
            faults = await faultsOf(client, peer, next, expected)
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

interface Question {
  readonly name: string
  readonly answer: Answer
  readonly pattern: Pattern
}

interface Expected {
  readonly events: readonly string[]
  readonly code: number | undefined
  readonly steady: boolean
}

/** What a client without interceptors makes of an answer. */
async function bareAnswers(bare: CallingSide, peer: Peer, { answer, pattern }: Question): Promise<Expected> {
  peer.answer = answer
  const { events, code } = await call(bare, pattern, DEADLINE_MS)
  const again = await call(bare, pattern, DEADLINE_MS)
  return { events, code, steady: String(events) === String(again.events) && code !== DEADLINE_EXCEEDED }
}

const DEADLINE_EXCEEDED = 4
const UNKNOWN = 2

/** grpc-js takes over any number; here a code that is none is UNKNOWN. */
const valid = (code: number | undefined): number | undefined =>
  code === undefined || (Number.isInteger(code) && code >= 0 && code <= 16) ? code : UNKNOWN

async function faultsOf(
  client: CallingSide,
  peer: Peer,
  { answer, pattern }: Question,
  bare: Expected,
): Promise<string[]> {
  peer.answer = answer
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
  peer.answer = GOOD
  const next = await call(client, pattern, NEXT_CALL_MS)
  await client.check({ client: next, handlers: 0, thrown: undefined })
  if (next.code !== 0) faults.push(`the next call ended with ${next.code}: ${next.details}`)
  return faults
}

const GOOD = answers.get('content: empty message') as Answer // it is there

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

class Peer {
  answer: Answer = (stream) => stream.resume()
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
        peer.answer(stream)
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

  close(): void {
    for (const session of this.#sessions) session.destroy()
    this.#server.close()
  }
}
