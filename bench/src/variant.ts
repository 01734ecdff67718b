/** What a scenario asks of a client, whatever library it is made with. Each resolves when its RPC has ended. */
export interface BenchClient {
  unary(large: boolean): Promise<void>
  /** The server answers NOT_FOUND. Resolves when the client has seen it. */
  fail(): Promise<void>
  serverStream(): Promise<void>
  clientStream(): Promise<void>
  bidi(): Promise<void>
  /** Makes a call the server never answers, or a stream that stays idle. Returns how to end it. */
  hold(kind: 'unary' | 'bidi'): () => void
  close(): void
}

export interface BenchServer {
  readonly port: number
  close(): void
}

/** One way to build a client and a server. `token` is false for a client whose credentials the server must refuse. */
export interface Variant {
  startServer(): Promise<BenchServer>
  openClient(port: number, token: boolean): BenchClient
  /** Whether the server asks for credentials, so that there is something to refuse. */
  readonly refuses?: boolean
}

export const scenarios = [
  'unary',
  'serverStream',
  'clientStream',
  'bidi',
  'unaryLarge',
  'error',
  'refused',
  'connectCold',
] as const
export type Scenario = (typeof scenarios)[number]

/** Those whose operations are the messages of streams. */
export const streaming: readonly Scenario[] = ['serverStream', 'clientStream', 'bidi']

export const variants = [
  'bare',
  'ours-0',
  'ours-passthrough-8',
  'ours-passthrough-8-async',
  'ours-observers',
  'ours-full',
  'full-by-hand',
  'native-passthrough-8',
  'nice-grpc-passthrough-8',
  'nice-grpc-full',
  'connect-node-passthrough-8',
  'instrumentation-grpc',
  'bare-in-a-context',
  'bare-traced-by-hand',
  'bare+retention',
  'full-by-hand+retention',
  'ours-full+retention',
] as const
export type VariantName = (typeof variants)[number]

/** What explains the others and is left out of a quick look. */
export const explanations: readonly VariantName[] = [
  'ours-passthrough-8-async',
  'bare-in-a-context',
  'bare-traced-by-hand',
  'full-by-hand+retention',
]

/** Behind the name of a variant whose processes run under `@grpc-stack/free-ended-calls`. */
const RETENTION = '+retention'

/** What such a name stands for. */
export function taken(name: VariantName): { readonly base: VariantName; readonly retention: boolean } {
  const retention = name.endsWith(RETENTION)
  return { base: (retention ? name.slice(0, -RETENTION.length) : name) as VariantName, retention }
}
