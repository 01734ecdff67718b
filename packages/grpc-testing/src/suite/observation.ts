import assert from 'node:assert/strict'
import type { Metadata } from '@grpc/grpc-js'
import type { ClientRpc } from '../client-rpc.ts'
import type { ServerRpc } from '../server-rpc.ts'

/** What a scenario saw: facts that must be the same with interceptors, and amounts that may not grow. */
export interface Observation {
  readonly same: unknown
  /** Compared with a tolerance of a few. */
  readonly atMost?: Readonly<Record<string, number>>
}

const TOLERANCE = 4

/** Everything the application can tell about a call. */
export function applicationView(rpc: ClientRpc, adds: ReadonlySet<string>, details: boolean): object {
  const { error, status } = rpc
  return {
    events: rpc.events,
    messages: rpc.messages,
    headers: metadataView(rpc.headers, adds),
    peer: rpc.peer === undefined ? undefined : placeless(rpc.peer),
    status: status && {
      keys: keysOf(status),
      code: status.code,
      details: details ? placeless(status.details) : '',
      trailers: metadataView(status.metadata, adds),
    },
    error: error && {
      keys: keysOf(error),
      name: error.name,
      isError: error instanceof Error,
      code: error.code,
      details: details ? placeless(error.details) : '',
      message: details ? placeless(error.message) : '',
      trailers: metadataView(error.metadata, adds),
      tellsTheCaller: error.stack?.includes('for call at') ?? false,
    },
  }
}

/** Everything a handler can tell about a call. */
export function handlerView(rpc: ServerRpc, adds: ReadonlySet<string>): object {
  return {
    events: rpc.events,
    requests: rpc.requests,
    metadata: metadataView(rpc.metadata, adds),
    cancelled: rpc.cancelled,
    cancelledFlag: rpc.call.cancelled,
    hasDeadline: rpc.deadline !== Number.POSITIVE_INFINITY,
    path: rpc.call.getPath(),
    host: placeless(rpc.call.getHost()),
  }
}

/** Fails unless `seen` is what `bare` was. */
export function assertSame(seen: Observation, bare: Observation, where: string): void {
  // The message would hide the difference, so it goes with the values.
  assert.deepEqual({ interceptors: where, saw: seen.same }, { interceptors: where, saw: bare.same })
  for (const [name, amount] of Object.entries(seen.atMost ?? {})) {
    const allowed = (bare.atMost?.[name] ?? 0) + TOLERANCE
    assert.ok(amount <= allowed, `interceptors on ${where}: ${name} is ${amount}, and without any at most ${allowed}`)
  }
}

function metadataView(metadata: Metadata | undefined, adds: ReadonlySet<string>): object | undefined {
  if (metadata === undefined) return undefined
  const entries = Object.entries(metadata.toJSON()).filter(([key]) => key !== 'date' && !adds.has(key))
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Each side of a comparison has ports of its own. */
const placeless = (text: string): string => text.replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:port')

const keysOf = (value: object): readonly string[] => Reflect.ownKeys(value).map(String).sort()
