import { type CallOptions, Metadata } from '@grpc/grpc-js'
import type { ClientInterceptorLike, ServerInterceptorLike } from '@grpc-stack/grpc-core'
import type { Behaviour } from '../behaviours.ts'
import { type ClientRpc, type RpcSettings, startRpc } from '../client-rpc.ts'
import { startTestServer, type TestServer } from '../test-server.ts'
import { TestClient, type TestPattern } from '../test-service.ts'

/** What a factory of the suite makes, spelled out. */
export interface SuiteSubject {
  readonly client?: ClientInterceptorLike | readonly ClientInterceptorLike[]
  readonly server?: ServerInterceptorLike | readonly ServerInterceptorLike[]
  /** Given with every call, on the bare side of the comparison too. */
  readonly callOptions?: CallOptions
  /** Sent with every call, on the bare side of the comparison too. */
  readonly metadata?: Metadata
  /** Metadata keys that the interceptors add on purpose, in whichever direction. They are not compared. */
  readonly adds?: readonly string[]
  /**
   * The client interceptors hold response headers back until the first message, so the suite does not wait for headers alone.
   * Default: false.
   */
  readonly replayable?: boolean
}

/** Where the interceptors are, and on what. */
export interface Place {
  readonly name: string
  readonly client: boolean
  readonly server: boolean
  /** A channel and a server of grpc-core instead of a stock stub and server. */
  readonly ours: boolean
}

export const bareStock: Place = { name: 'nowhere', client: false, server: false, ours: false }
export const bareOurs: Place = { name: 'nowhere, with grpc-core', client: false, server: false, ours: true }

/** Each place is compared with the same without interceptors. */
export const places: readonly Place[] = [
  { name: 'a stock client', client: true, server: false, ours: false },
  { name: 'a stock server', client: false, server: true, ours: false },
  { name: 'both sides, with grpc-core', client: true, server: true, ours: true },
]

/** How a scenario makes a call. */
export interface WorldSettings extends Omit<RpcSettings, 'metadata'> {
  readonly behaviour?: Behaviour
  readonly metadata?: Metadata
}

interface Given {
  readonly metadata: Metadata
  readonly metadataBefore: string
  readonly options: CallOptions
  readonly optionsBefore: readonly unknown[]
}

/** A server, a client and the interceptors of one place between them. */
export class World {
  readonly place: Place
  readonly server: TestServer
  readonly client: TestClient
  readonly rpcs: ClientRpc[] = []
  readonly #subject: SuiteSubject
  readonly #given: Given[] = []

  constructor(place: Place, server: TestServer, client: TestClient, subject: SuiteSubject) {
    this.place = place
    this.server = server
    this.client = client
    this.#subject = subject
  }

  /** Whether waiting for the headers of this kind of call before the first message makes sense. */
  showsHeadersAtOnce(pattern: TestPattern): boolean {
    return !this.#subject.replayable || pattern === 'clientStream' || pattern === 'bidi'
  }

  start(pattern: TestPattern, { behaviour, metadata, options, ...settings }: WorldSettings = {}): ClientRpc {
    let sent = metadata?.clone() ?? new Metadata()
    if (this.#subject.metadata) sent.merge(this.#subject.metadata)
    if (behaviour) sent = this.server.behave(behaviour, sent)
    const callOptions: CallOptions = { ...this.#subject.callOptions, ...options }
    this.#given.push({
      metadata: sent,
      metadataBefore: snapshot(sent),
      options: callOptions,
      optionsBefore: entriesOf(callOptions),
    })
    for (const message of settings.requests ?? []) Object.freeze(message)
    const rpc = startRpc(this.client, pattern, { ...settings, metadata: sent, options: callOptions })
    this.rpcs.push(rpc)
    return rpc
  }

  /** Makes a call that is not compared: the scenario compares it itself. */
  startAside(pattern: TestPattern, settings?: WorldSettings): ClientRpc {
    const rpc = this.start(pattern, settings)
    this.rpcs.splice(this.rpcs.indexOf(rpc), 1)
    return rpc
  }

  /** What the application handed over and finds changed. */
  mutations(): readonly string[] {
    return this.#given.flatMap(({ metadata, metadataBefore, options, optionsBefore }) => [
      ...(snapshot(metadata) === metadataBefore ? [] : [`the caller's metadata: ${snapshot(metadata)}`]),
      ...(sameEntries(entriesOf(options), optionsBefore) ? [] : [`the caller's options: ${Object.keys(options)}`]),
    ])
  }
}

/** Puts more interceptors around those of the subject. */
export interface Around {
  client(list: readonly ClientInterceptorLike[]): readonly ClientInterceptorLike[]
  server(list: readonly ServerInterceptorLike[]): readonly ServerInterceptorLike[]
}

const NOTHING_AROUND: Around = { client: (list) => list, server: (list) => list }

export async function openWorld(place: Place, subject: SuiteSubject, around: Around = NOTHING_AROUND): Promise<World> {
  const server = await startTestServer({
    stock: !place.ours,
    interceptors: around.server(place.server ? listOf(subject.server) : []),
  })
  const interceptors = around.client(place.client ? listOf(subject.client) : [])
  const client = place.ours ? server.channel(...interceptors).client(TestClient) : server.client(...interceptors)
  return new World(place, server, client, subject)
}

export function listOf<T extends ClientInterceptorLike | ServerInterceptorLike>(
  given: T | readonly T[] | undefined,
): readonly T[] {
  if (given === undefined) return []
  return Array.isArray(given) ? (given as readonly T[]) : [given as T]
}

const snapshot = (metadata: Metadata): string => JSON.stringify([metadata.toJSON(), metadata.getOptions()])

const entriesOf = (options: CallOptions): readonly unknown[] =>
  Reflect.ownKeys(options).flatMap((key) => [key, (options as Record<PropertyKey, unknown>)[key]])

const sameEntries = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((value, i) => value === other[i])
