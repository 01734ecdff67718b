import cluster from 'node:cluster'
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'

/** What a worker asks the process that counts. Plain data, so that every channel between processes carries it. */
export interface Question {
  readonly id: number
  /** The limits, as JSON. */
  readonly limits: string
  readonly keys: readonly (string | null)[]
  readonly costs: readonly number[]
}

export type Reply = { readonly id: number } & ({ readonly decision: unknown } | { readonly error: string })

/** How this process reaches the one that counts. */
export interface MachineLink {
  /** Whether this process, in its main thread, is the one. */
  readonly counts: boolean
  /** Sends a question. The callback hears that it could not be sent. */
  ask(question: Question, failed: (error: Error) => void): void
  onReply(listener: (reply: Reply) => void): void
  /** Called when the process that counts is gone for good. */
  onLost(listener: () => void): void
}

const MARK = 'grpc-stack.ratelimit'

interface Envelope<T> {
  readonly [MARK]: string
  readonly thread: number
  readonly body: T
}

/**
 * Of Node's `cluster` in its workers' main threads, of a BroadcastChannel in worker threads, whose main thread answers, and of
 * neither where this is the process that counts.
 * @param name stores of the same name are one
 */
export function machineLink(name: string): MachineLink {
  if (!isMainThread) return threadLink(name)
  if (cluster.isWorker) return workerLink(name)
  return { counts: true, ask: () => undefined, onReply: () => undefined, onLost: () => undefined }
}

/** Answers what workers and worker threads ask. Holds no process open. */
export function serveMachine(name: string, answer: (question: Question) => Reply): void {
  cluster.on('message', (worker, message: unknown) => {
    const question = bodyOf<Question>(message, `${name}:ask`)
    // The worker may be gone by now.
    if (question !== undefined && worker.isConnected())
      worker.send(sealed(`${name}:reply`, 0, answer(question)), ignore)
  })
  const channel = new BroadcastChannel(`${MARK}:${name}`)
  channel.unref()
  channel.onmessage = (event: unknown) => {
    const { data } = event as { readonly data: unknown }
    const question = bodyOf<Question>(data, `${name}:ask`)
    if (question !== undefined)
      channel.postMessage(sealed(`${name}:reply`, (data as Envelope<Question>).thread, answer(question)))
  }
}

function workerLink(name: string): MachineLink {
  return {
    counts: false,
    ask(question, failed) {
      if (process.send === undefined || !process.connected) failed(new Error('the primary process is gone'))
      else process.send(sealed(`${name}:ask`, 0, question), undefined, undefined, (error) => error && failed(error))
    },
    onReply: (listener) => {
      process.on('message', (message) => {
        const reply = bodyOf<Reply>(message, `${name}:reply`)
        if (reply !== undefined) listener(reply)
      })
    },
    onLost: (listener) => void process.on('disconnect', listener),
  }
}

function threadLink(name: string): MachineLink {
  const channel = new BroadcastChannel(`${MARK}:${name}`)
  channel.unref()
  return {
    counts: false,
    ask: (question) => channel.postMessage(sealed(`${name}:ask`, threadId, question)),
    onReply: (listener) => {
      channel.onmessage = (event: unknown) => {
        const { data } = event as { readonly data: unknown }
        const reply = bodyOf<Reply>(data, `${name}:reply`)
        if (reply !== undefined && (data as Envelope<Reply>).thread === threadId) listener(reply)
      }
    },
    // The main thread takes its threads along.
    onLost: () => undefined,
  }
}

function sealed<T>(kind: string, thread: number, body: T): Envelope<T> {
  return { [MARK]: kind, thread, body }
}

/** Undefined for messages of the application and of other stores. */
function bodyOf<T>(message: unknown, kind: string): T | undefined {
  if (typeof message !== 'object' || message === null) return undefined
  const envelope = message as Partial<Envelope<T>>
  return envelope[MARK] === kind ? envelope.body : undefined
}

function ignore(): void {}
