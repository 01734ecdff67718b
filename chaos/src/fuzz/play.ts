import type { sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Handlers } from '@grpc-stack/grpc-core'
import { type Item, type Pattern, patterns, type service } from '../service.ts'
import { delay, turns, until } from '../turns.ts'
import { AsyncHandler } from './async-part.ts'
import { type ClientPart, callerContext, type Opening } from './client-part.ts'
import { metadataFrom } from './metadata-text.ts'
import type { Script, Step } from './script.ts'
import { type AnyServerCall, CallbackHandler, type ServerPart } from './server-part.ts'

/** What a run came to. */
export interface Played {
  /** What the method itself threw. */
  readonly thrown: string | undefined
  readonly client: ClientPart | undefined
  readonly server: ServerPart | undefined
  readonly handlers: number
  /** What the parties wrote and what of it was serialized, by number. */
  readonly requests: Ledger
  readonly responses: Ledger
  readonly violations: string[]
  /** What did not arrive although it was waited for. */
  readonly missed: string[]
  readonly tookMs: number
  /** When the client's side was over. */
  readonly clientMs: number
}

export interface Ledger {
  readonly written: number[]
  readonly serialized: Set<number>
}

/** A way to make the call of a script. */
export interface Caller {
  open(opening: Opening): ClientPart & { readonly isOver: boolean }
  /** Something in the stack takes a single response whole, so that its headers come with it. */
  readonly headersWithResponse?: boolean
  /** Does something to the connection. */
  disturb?(what: string): void
  /** The RPC is over for the client. */
  afterClient?(): void
}

/** Longer than any step of a script takes on a machine that does other things besides. */
const PATIENCE_MS = 15_000
const ARRIVAL_MS = 3000
const HANDLER_MS = 2000
const LATE_HANDLER_MS = 10

const waiting = new Map<string, (part: ServerPart) => void>()
let runs = 0

/** The handlers of every server: they wait for the script's steps. */
export const implementation: UntypedServiceImplementation = Object.fromEntries(
  patterns.map((pattern) => [
    pattern,
    (call: AnyServerCall, respond?: sendUnaryData<Item>) =>
      void started(call, new CallbackHandler(pattern, call, respond)),
  ]),
)

/** The same as async functions and generators; a stream of responses may also be promised. */
export const asyncImplementation: Handlers<typeof service> = {
  unary: async (call) => await started(call, new AsyncHandler(call)).response(),
  clientStream: async (call) => await started(call, new AsyncHandler(call)).response(),
  serverStream: async (call) => started(call, new AsyncHandler(call)).responses(),
  async *bidi(call) {
    yield* started(call, new AsyncHandler(call)).responses()
  },
}

function started<Part extends ServerPart>({ metadata }: AnyServerCall, part: Part): Part {
  const taken = waiting.get(String(metadata.get('chaos-run')[0]))
  if (taken !== undefined) taken(part)
  else part.status(1, 'the script is over', metadataFrom([]), undefined)
  return part
}

export function play(script: Script, caller: Caller): Promise<Played> {
  const id = String(++runs)
  // All that the application does, it does in the context of its call.
  return callerContext.run(id, () => playAs(id, script, caller))
}

async function playAs(id: string, script: Script, caller: Caller): Promise<Played> {
  const begun = performance.now()
  const parts: ServerPart[] = []
  waiting.set(id, (part) => parts.push(part))
  const requests: Ledger = { written: [], serialized: new Set() }
  const responses: Ledger = { written: [], serialized: new Set() }
  const violations: string[] = []
  const missed: string[] = []
  let client: ReturnType<Caller['open']> | undefined
  let thrown: string | undefined
  let clientMs = 0
  const result = (): Played => ({
    thrown,
    client,
    server: parts[0],
    handlers: parts.length,
    requests,
    responses,
    violations,
    missed,
    tookMs: performance.now() - begun,
    clientMs,
  })
  try {
    const metadata = metadataFrom([...script.metadata, ['chaos-run', id]])
    if (script.options.waitForReady) metadata.setOptions({ waitForReady: true })
    const opening: Opening = {
      pattern: script.pattern,
      request: script.request && item(requests, script.request),
      metadata,
      options: callOptions(script),
    }
    try {
      client = caller.open(opening)
    } catch (error) {
      thrown = String(error)
      return result()
    }
    if (script.options.metadataReused) metadata.set('a-key', 'of the next call')
    const run = new Run(script, client, parts, requests, responses)
    run.disturb = (what) => caller.disturb?.(what)
    run.awaitsHeaders = caller.headersWithResponse !== true || streams(script.pattern)
    for (const step of script.steps) await run.step(step)
    missed.push(...run.missed)
    await run.finish()
    if (!(await until(() => run.clientOver, PATIENCE_MS))) violations.push('the RPC did not end for the client')
    clientMs = performance.now() - begun
    caller.afterClient?.()
    // What was cancelled may be on its way to a handler.
    if (parts.length === 0) await until(() => parts.length > 0, LATE_HANDLER_MS)
    if (!(await until(() => parts.every(({ over }) => over), HANDLER_MS))) {
      violations.push('the handler was not told that its RPC is over')
      for (const part of parts) part.status(1, 'the client has gone', metadataFrom([]), undefined)
      if (!(await until(() => parts.every(({ over }) => over), PATIENCE_MS))) {
        violations.push('the RPC did not end for the handler')
      }
    }
    await turns(4)
    return result()
  } finally {
    waiting.delete(id)
  }
}

function callOptions({ options: { deadlineMs, deadlineAsDate } }: Script): Opening['options'] {
  if (deadlineMs === undefined) return {}
  const at = Date.now() + deadlineMs
  return { deadline: deadlineAsDate ? new Date(at) : at }
}

function item(ledger: Ledger, { size, fault }: { readonly size: number; readonly fault?: Item['fault'] }): Item {
  const n = ledger.written.length
  ledger.written.push(size === 0 && fault === undefined ? -1 : n)
  return { n, size, ...(fault && { fault }), onSerialize: () => ledger.serialized.add(n) }
}

class Run {
  readonly #script: Script
  readonly #client: ReturnType<Caller['open']>
  readonly #parts: ServerPart[]
  readonly #requests: Ledger
  readonly #responses: Ledger
  /** Whether response headers are expected before the response. */
  awaitsHeaders = true
  readonly missed: string[] = []
  disturb: (what: string) => void = () => undefined
  #headersSent = false
  #ending = false

  constructor(
    script: Script,
    client: ReturnType<Caller['open']>,
    parts: ServerPart[],
    requests: Ledger,
    responses: Ledger,
  ) {
    this.#script = script
    this.#client = client
    this.#parts = parts
    this.#requests = requests
    this.#responses = responses
  }

  get clientOver(): boolean {
    return this.#client.isOver
  }

  async step(step: Step): Promise<void> {
    if ('wait' in step) {
      if (step.wait === 'turns') await turns(step.count)
      else if (step.wait === 'ms') await delay(step.count)
      else if (step.wait === 'arrival') await this.#arrival()
      else await until(() => this.#client.isOver, PATIENCE_MS)
    } else if ('connection' in step) {
      this.disturb(step.connection)
    } else if ('client' in step) {
      this.#atClient(step)
    } else {
      const server = await this.#handler()
      if (server !== undefined) this.#atServer(server, step)
    }
  }

  /** What the script left undone: everything is read, and both sides end. */
  async finish(): Promise<void> {
    const { pattern } = this.#script
    this.#client.resume()
    if (!this.#client.halfClosed) this.#client.halfClose()
    const server = await this.#handler()
    if (server === undefined) return
    server.resume()
    await until(() => this.#client.isOver || server.halfClosed || server.over, PATIENCE_MS)
    if (!server.answered) this.#atServer(server, { server: 'status', code: 0, ...(!streams(pattern) && { size: 1 }) })
  }

  #atClient(step: Extract<Step, { client: string }>): void {
    const client = this.#client
    if (step.client === 'write') {
      // Node refuses to write after the end, before gRPC hears of it.
      if (!client.halfClosed) client.write(item(this.#requests, step), step.uncompressed === true)
    } else if (step.client !== 'halfClose' || !client.halfClosed) client[step.client]()
    if (step.client === 'cancel') this.#ending = true
  }

  #atServer(server: ServerPart, step: Extract<Step, { server: string }>): void {
    const { headers, trailers, pattern } = this.#script
    if (step.server === 'headers') {
      this.#headersSent = true
      server.headers(headers)
    } else if (step.server === 'write') {
      server.write(item(this.#responses, step))
    } else if (step.server !== 'status') {
      server[step.server]()
    } else if (!server.answered) {
      const { code, size = 1 } = step
      const response = !streams(pattern) && code === 0 ? item(this.#responses, { ...step, size }) : undefined
      this.#ending = true
      server.status(code, code === 0 ? '' : `ended by the script: ü ${code}%`, metadataFrom(trailers), response)
    }
  }

  /** The handler, as soon as it is started; undefined if the RPC ends without one. */
  async #handler(): Promise<ServerPart | undefined> {
    const started = (): boolean => this.#parts.length > 0 || this.#client.isOver
    // A handler of a single request is started when it has arrived, so there is nothing that could be missing.
    await until(started, PATIENCE_MS)
    return this.#parts[0]
  }

  async #arrival(): Promise<void> {
    const client = this.#client
    const server = await this.#handler()
    const over = (): boolean => client.isOver && this.#parts.every((part) => part.over)
    const wasOver = client.isOver || server?.over === true || this.#ending
    const missing = (): string | undefined => {
      if (over()) return undefined
      if (wasOver || client.isOver || server === undefined || server.over) return 'the end'
      if (!server.paused) {
        if (server.arrived < this.#requests.written.length) return 'requests'
        if (client.halfClosed && !server.halfClosed) return 'the half-close'
      }
      const headersSent = this.#headersSent || this.#responses.written.length > 0
      if (this.awaitsHeaders && headersSent && !client.headersSeen) return 'response headers'
      if (!client.paused && client.arrived < this.#responses.written.length) return 'responses'
      return undefined
    }
    if (!(await until(() => missing() === undefined, ARRIVAL_MS))) this.missed.push(String(missing()))
    await turns(3)
  }
}

const streams = (pattern: Pattern): boolean => pattern === 'serverStream' || pattern === 'bidi'
