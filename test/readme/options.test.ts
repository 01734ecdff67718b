import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status as Code, credentials } from '@grpc/grpc-js'
import { createChannel, createServer } from '@grpc-stack/grpc-core'
import { OptionKind } from '@grpc-stack/grpc-core/authoring'
import { echo, startTestServer, type TestServerOptions } from '@grpc-stack/grpc-testing'
import { clientAuth, policy, serverAuth } from '@grpc-stack/interceptor-auth'
import { extAuthz } from '@grpc-stack/interceptor-auth/ext-authz'
import { tokenFile } from '@grpc-stack/interceptor-auth/oauth2'
import { dryRun, policyFile, policyFromJson } from '@grpc-stack/interceptor-auth/policy'
import { circuitBreaker, countWindow, type FailurePolicy, timeWindow } from '@grpc-stack/interceptor-circuit'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { concurrencyLimit, memoryStore, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { clusterStore } from '@grpc-stack/interceptor-ratelimit/cluster'
import { redisStore } from '@grpc-stack/interceptor-ratelimit/redis'
import { rateLimitService } from '@grpc-stack/interceptor-ratelimit/rls'
import { hedge, RetryBudget, retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { startTracing } from '@grpc-stack/interceptor-tracing/node'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-node'
import { register } from 'prom-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { DEFAULT_MAX_METADATA_BYTES } from '../../packages/grpc-core/src/grpc-js/response-size.ts'
import { checkServerAuth } from '../../packages/interceptor-auth/src/server/server-auth-options.ts'
import { readBreakerOptions } from '../../packages/interceptor-circuit/src/breaker-options.ts'
import { resolveRateLimit } from '../../packages/interceptor-ratelimit/src/limit/rate-limit-options.ts'
import { readRetryOptions } from '../../packages/interceptor-retry/src/retry-settings.ts'
import { publishablePackages } from '../../scripts/workspace.mjs'
import { type DescribedOptions, optionTables, readmeOf, signature, valueSaid } from './described-options.ts'

// The options that the packages' READMEs describe, in tables and in signatures such as `tokenFile(path, { maxAgeMs = 60_000 })`,
// are those that the factories read, and the defaults that stand there are those that hold.

type Options = Readonly<Record<string, unknown>>
type Check = (value: unknown) => void

/** Options of one factory, and what a page says in words. */
interface Factory {
  readonly make: (options: Options) => unknown
  /** As errors name the factory, and the option in which these options stand: `serverAuth cache`. */
  readonly reads: string
  /** What must be given to `make`. */
  readonly given?: Options
  /** Defaults that the factory makes of others, or leaves to a library. */
  readonly made?: Readonly<Record<string, () => unknown>>
  /** What the words mean that stand for a default. */
  readonly words?: Readonly<Record<string, Check>>
  /** Options that stand elsewhere on the page, or that only tests need. */
  readonly elsewhere?: readonly string[]
}

const method = {
  path: '/a.B/C',
  service: 'a.B',
  name: 'C',
  pattern: 'unary',
  requestStream: false,
  responseStream: false,
  registered: true,
} as const

/** Never used: nothing is called. */
const channel = createChannel('localhost:1', credentials.createInsecure())

const is =
  (expected: unknown): Check =>
  (value) =>
    expect(value).toEqual(expected)
const answers =
  (expected: unknown, argument: unknown): Check =>
  (value) =>
    expect((value as (argument: unknown) => unknown)(argument)).toEqual(expected)
/** Looked up, or decided, when a call is made: a test of the package shows how. */
const later = is(undefined)

/** What the pages call the defaults that many options share. */
const sharedWords: Readonly<Record<string, Check>> = {
  'a process warning about the first of each': later,
  'a process warning about the first of each option': later,
  "the channel's own": later,
  'monotonic time': isClock('monotonic'),
  monotonic: isClock('monotonic'),
  "the system's": isClock('monotonic'),
  "the system's monotonic clock": isClock('monotonic'),
  system: (value) => (value === Math.random ? undefined : isClock('wall')(value)),
}

function isClock(kind: 'monotonic' | 'wall'): Check {
  return (value) => {
    const now = (): number => (kind === 'monotonic' ? performance.now() : Date.now())
    const before = now()
    const told = (value as { now(): number }).now()
    expect(told).toBeGreaterThanOrEqual(before)
    expect(told).toBeLessThanOrEqual(now())
  }
}

/** How many failures in a row open a circuit. */
function failuresToOpen(policy: FailurePolicy): number {
  const window = policy.open()
  for (let failures = 1; failures <= 1000; failures++) {
    if (window.record(true, false, { kind: 'monotonic', now: () => 0 })) return failures
  }
  throw new Error('1000 failures do not open it')
}

const circuitSettings = () => readBreakerOptions({ random: () => 0 }).circuit(() => undefined)
const sevenPerSecond = () => resolveRateLimit({ rate: 7 })
const verify = (): null => null
const redis = { evalsha: () => undefined, eval: () => undefined, on: () => undefined }

const POLICY = { name: 'shop', allow_rules: [{ name: 'all' }] }
const somePolicy = () => policy(policyFromJson(POLICY))
function policyFileForNow(options: Options): void {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'))
  try {
    writeFileSync(join(folder, 'policy.json'), JSON.stringify(POLICY))
    policyFile(join(folder, 'policy.json'), options).close()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const started: ReturnType<typeof startTracing>[] = []
afterEach(async () => {
  for (const tracing of started.splice(0)) await tracing.shutdown()
})
function startForNow(options: Options): ReturnType<typeof startTracing> {
  const tracing = startTracing(options)
  started.push(tracing)
  return tracing
}

/** The SDK's own defaults, which it shows in private members alone. */
function batchOfSdk(): unknown {
  const sdk = started.at(-1)?.provider as unknown as {
    _activeSpanProcessor: { _spanProcessors: [counting: unknown, batching: Record<string, number>] }
  }
  const [, processor] = sdk._activeSpanProcessor._spanProcessors
  return {
    maxQueueSize: processor._maxQueueSize,
    maxExportBatchSize: processor._maxExportBatchSize,
    scheduledDelayMs: processor._scheduledDelayMillis,
    exportTimeoutMs: processor._exportTimeoutMillis,
  }
}

/** By package, then by the heading of the table. */
const tables: Readonly<Record<string, Readonly<Record<string, Factory>>>> = {
  'interceptor-auth': {
    '## Client': {
      reads: 'clientAuth',
      make: clientAuth as never,
      given: { token: 'x' },
      words: {
        'by the function': later,
        '64 KiB, 100 messages': is({ maxBytes: 64 * 1024, maxMessages: 100 }),
        '1 s ×1.6 to 120 s ±20 %': is({ initialMs: 1000, multiplier: 1.6, maxMs: 120_000, jitter: 0.2 }),
        '100, system': (value) => (typeof value === 'number' ? is(100)(value) : sharedWords.system?.(value)),
      },
    },
    '## Server': {
      reads: 'serverAuth',
      make: serverAuth as never,
      given: { verify },
      words: { nothing: answers(false, method), 'all may': later, on: is(true) },
      // Those of `cache: true`.
      elsewhere: ['ttlMs', 'negativeTtlMs', 'maxEntries', 'maxNegativeEntries'],
    },
    '### A policy in a file: `policyFile(path, options)`': {
      reads: 'policyFile',
      make: policyFileForNow,
      words: { any: is(undefined), 'a process warning for each change that is refused': is(undefined) },
    },
    '### A policy on trial: `dryRun(options)`': {
      reads: 'dryRun',
      make: dryRun as never,
      given: { policy: somePolicy(), candidate: somePolicy(), onDifference: () => undefined },
    },
    '## External authorization: `extAuthz(options)`': {
      reads: 'extAuthz',
      make: extAuthz as never,
      given: { channel },
      words: { all: is(undefined), none: is({}) },
    },
  },
  'interceptor-circuit': {
    '## Options': {
      reads: 'circuitBreaker',
      make: circuitBreaker,
      made: {
        policy: () => readBreakerOptions({}).policy,
        maxOpenMs: () => circuitSettings().openTimeMs(1000),
        successesToClose: () => circuitSettings().successesToClose,
      },
      words: {
        '`timeWindow()`': (value) => expect(failuresToOpen(value as FailurePolicy)).toBe(failuresToOpen(timeWindow())),
        '`halfOpenPermits`': (value) => expect(value).toBe(circuitSettings().halfOpenPermits),
        'the tables above': later,
      },
    },
  },
  'interceptor-logging': {
    '## Options of `logging()`': {
      reads: 'logging',
      make: logging,
      words: {
        '`jsonLogger()`: JSON lines on standard output': (value) => expect(value).toHaveProperty('isLevelEnabled'),
        'those of go-grpc-middleware (`serverLevels`, `clientLevels`)': later,
        'nothing is slow': is(Number.POSITIVE_INFINITY),
        'no metadata': is(undefined),
        'the span of `tracing()`, else the `traceparent` of the call': later,
      },
    },
    '## Options of `requestId()`': {
      reads: 'requestId',
      make: requestId,
      words: {
        'a random UUID': (value) =>
          expect((value as () => string)()).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/),
      },
    },
  },
  'interceptor-metrics': {
    '## Options of `metrics()`': { reads: 'metrics', make: metrics as never, given: { recorder: inMemory() } },
    '## Prometheus': {
      reads: 'prometheus',
      make: prometheus,
      words: {
        'the global one': (value) => expect(value).toBe(register),
        "those of Prometheus's Go client": is([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
      },
    },
    '## OpenTelemetry': {
      reads: 'openTelemetry',
      make: openTelemetry,
      words: { 'the global one at the first call': later, 'by the conventions': later },
    },
  },
  'interceptor-ratelimit': {
    '## `rateLimit(options)`': {
      reads: 'rateLimit',
      make: rateLimit,
      given: { rate: 7 },
      made: {
        burst: () => sevenPerSecond().limits[0]?.burst,
        name: () => sevenPerSecond().limits[0]?.name,
        store: () => sevenPerSecond().store,
        maxKeys: () => optionsRead(() => rateLimit({ rate: 7 })).get('memoryStore maxKeys'),
      },
      words: {
        '`rate`': is(7),
        '`byPeer()`': answers('10.1.2.3', { side: 'server', peer: () => '10.1.2.3:50051' }),
        'from the numbers': (value) => expect(value).toMatch(/7/),
        '`memoryStore()`': (value) => expect(value).toHaveProperty('evicted', 0),
      },
    },
    '## `concurrencyLimit(options)`': {
      reads: 'concurrencyLimit',
      make: concurrencyLimit as never,
      given: { limit: 1 },
      words: { 'all calls together': is(undefined) },
      elsewhere: ['clock'],
    },
    '## `throttle(options)`, on clients': {
      reads: 'throttle',
      make: throttle,
      words: {
        UNAVAILABLE: (value) => {
          const codes = Object.values(Code).filter((code) => typeof code === 'number')
          const rejects = value as (status: { code: Code }) => boolean
          expect(codes.filter((code) => rejects({ code }))).toEqual([Code.UNAVAILABLE])
        },
        'the target': answers('dns:host:1', { target: 'dns:host:1' }),
      },
      elsewhere: ['clock', 'random'],
    },
    "## `rateLimitService(options)`: Envoy's rate limit service": {
      reads: 'rateLimitService',
      make: rateLimitService as never,
      given: { channel, domain: 'x', descriptors: () => [] },
    },
  },
  'interceptor-retry': {
    '## Options of `retry()`': {
      reads: 'retry',
      make: retry,
      made: {
        jitter: () => readRetryOptions({}).planFor(method).jitter,
        budget: () => readRetryOptions({}).newBudget?.(),
      },
      words: {
        'no method': answers(false, method),
        'a `RetryBudget` per target': (value) => expect(value).toBeInstanceOf(RetryBudget),
      },
    },
    '## `hedge()`': {
      reads: 'hedge',
      make: hedge,
      given: { delayMs: 1, idempotent: '*' },
      made: { budget: () => optionsRead(() => hedge({ delayMs: 1, idempotent: '*' })).get('RetryBudget ratio') },
      words: { 'a `RetryBudget` of this `hedge()`': is(0.2) },
    },
  },
  'interceptor-tracing': {
    '## Options of `tracing()`': {
      reads: 'tracing',
      make: tracing,
      made: { metadata: () => undefined },
      words: { all: answers(true, method), 'see above': later, 'the conventions': later, 'the global ones': later },
    },
    '## `/node`': {
      reads: 'startTracing',
      make: startForNow,
      given: { exporter: new InMemorySpanExporter() },
      made: { batch: batchOfSdk },
      words: {
        '`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`': later,
        '`OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317`': later,
        'OTLP/gRPC; with another, `exporter-trace-otlp-grpc` need not be installed': () => undefined,
        "everything unless `OTEL_TRACES_SAMPLER` says otherwise; a caller's decision is kept": later,
        'W3C trace context and baggage': later,
        '`{ maxQueueSize: 2048, maxExportBatchSize: 512, scheduledDelayMs: 5000, exportTimeoutMs: 30000 }`': is({
          maxQueueSize: 2048,
          maxExportBatchSize: 512,
          scheduledDelayMs: 5000,
          exportTimeoutMs: 30000,
        }),
      },
    },
  },
}

/** By package, then by what stands in front of the braces. */
const signatures: Readonly<Record<string, Readonly<Record<string, Factory>>>> = {
  'interceptor-auth': {
    'tokenFile(path, ': {
      reads: 'tokenFile',
      make: (options) => tokenFile('/x', options),
      elsewhere: ['maxBytes', 'clock'],
    },
    '| `cache` | on |': {
      reads: 'serverAuth cache',
      make: serverAuth as never,
      given: { verify, cache: {} },
      made: { negativeTtlMs: () => checkServerAuth({ verify }).cache?.negativeTtlMs },
    },
    '| `failureLimit` | none |': {
      reads: 'serverAuth failureLimit',
      make: serverAuth as never,
      given: { verify, failureLimit: { max: 1 } },
      elsewhere: ['maxKeys'],
    },
  },
  'interceptor-circuit': {
    'timeWindow({ windowMs': {
      reads: 'timeWindow',
      make: timeWindow,
      made: { minCalls: () => failuresToOpen(timeWindow()) },
    },
    '`countWindow(': {
      reads: 'countWindow',
      make: countWindow,
      made: { minCalls: () => failuresToOpen(countWindow()) },
      words: { size: is(100) },
    },
  },
  'interceptor-logging': {
    '| `payload` | `false` |': { reads: 'logging payload', make: logging, given: { payload: {} } },
  },
  'interceptor-metrics': { '`prometheus(': { reads: 'prometheus', make: prometheus } },
  'interceptor-ratelimit': {
    'memoryStore(': { reads: 'memoryStore', make: memoryStore, elsewhere: ['clock'] },
    'clusterStore({ name': { reads: 'clusterStore', make: clusterStore, elsewhere: ['clock'] },
    'redisStore(client, ': { reads: 'redisStore', make: (options) => redisStore(redis as never, options) },
    '| `perMessage` | – |': {
      reads: 'rateLimit: perMessage',
      make: rateLimit,
      given: { rate: 1, perMessage: { rate: 1 } },
    },
    '`throttle({ rate': { reads: 'throttle', make: throttle, given: { rate: 1 }, elsewhere: ['clock'] },
  },
  'interceptor-retry': { 'retry.perCall({ maxAttempts, per': { reads: 'retry.perCall', make: retry.perCall } },
}

/** Whatever options are read while this runs, by factory and path. */
function optionsRead(make: () => unknown): Map<string, unknown> {
  const reading = vi.spyOn(OptionKind.prototype, 'readFrom')
  try {
    make()
    const { calls, results } = reading.mock
    return new Map(calls.map(([, , { where, path }], index) => [`${where} ${path}`, results[index]?.value]))
  } finally {
    reading.mockRestore()
  }
}

/** The options that a factory reads, with their defaults. */
function defaultsOf({ reads, make, given = {}, made = {} }: Factory): Map<string, unknown> {
  const isNested = / \w+$/.test(reads) && !reads.includes(':')
  const prefix = isNested ? `${reads}.` : `${reads} `
  const names = [...optionsRead(() => make(given))]
    .filter(([path]) => path.startsWith(prefix) && /^\w+$/.test(path.slice(prefix.length)))
    .map(([path, value]) => [path.slice(prefix.length), value] as const)
  return new Map(names.map(([name, value]) => [name, made[name] === undefined ? value : made[name]()]))
}

function compare(described: DescribedOptions, factory: Factory, inSignature: boolean): void {
  const { given = {}, words = {}, elsewhere = [] } = factory
  const defaults = defaultsOf(factory)
  expect([...described.keys(), ...elsewhere].sort()).toEqual([...defaults.keys()].sort())
  for (const [name, says] of described) {
    const value = defaults.get(name)
    const check = words[says] ?? sharedWords[says]
    if (says === 'required') {
      const { [name]: _, ...others } = given
      expect(() => factory.make(others), name).toThrow(TypeError)
    } else if (check !== undefined) check(value)
    else {
      const said = valueSaid(says)
      expect(said, `${name}: what is "${says}"?`).toBeDefined()
      // A signature need not name defaults; what must be given has none.
      if (Object.hasOwn(given, name) || (inSignature && says === '')) continue
      expect(value, name).toEqual(said?.value)
    }
  }
}

describe('the options in the READMEs', () => {
  it('are in no table that is not looked at', () => {
    const found = publishablePackages().flatMap(({ dir }) => {
      const name = dir.replace('packages/', '')
      return [...optionTables(readmeOf(name)).keys()].map((heading) => `${name} ${heading}`)
    })
    const known = Object.entries(tables).flatMap(([name, of]) => Object.keys(of).map((heading) => `${name} ${heading}`))
    expect(found.sort()).toEqual(
      [...known, 'grpc-core ## Servers', 'grpc-testing ## The server and its clients'].sort(),
    )
  })

  const inTables = Object.entries(tables).flatMap(([name, of]) =>
    Object.entries(of).map(([heading, factory]) => ({ name, heading, factory })),
  )
  it.each(inTables)('$name, $heading: have these names and defaults', ({ name, heading, factory }) => {
    compare(optionTables(readmeOf(name)).get(heading) as DescribedOptions, factory, false)
  })

  const inSignatures = Object.entries(signatures).flatMap(([name, of]) =>
    Object.entries(of).map(([start, factory]) => ({ name, start, factory })),
  )
  it.each(inSignatures)('$name, $start…: have these names and defaults', ({ name, start, factory }) => {
    compare(signature(readmeOf(name), start), factory, true)
  })

  it('grpc-core: have the names that createServer knows beside those of grpc-js, and these defaults', () => {
    const described = optionTables(readmeOf('grpc-core')).get('## Servers') ?? new Map<string, string>()
    // It lists them where it refuses another.
    expect(() => createServer({ unmatch: 'warn' })).toThrow(
      `Known are ${[...described.keys()]
        .sort()
        .map((name) => `"${name}"`)
        .join(', ')} and those of grpc-js`,
    )
    expect(Object.fromEntries(described)).toEqual({
      interceptors: 'none',
      unmatched: "`'error'`",
      maxResponseMetadataBytes: String(DEFAULT_MAX_METADATA_BYTES),
    })
  })

  it('grpc-testing: have the names of TestServerOptions, and these defaults', async () => {
    await using server = await startTestServer()
    await using stock = await startTestServer({ stock: true })
    // By its type, no name can be missing here.
    const defaults: Record<keyof TestServerOptions, string> = {
      interceptors: 'none',
      stock: '`false`',
      behaviour: '`echo`',
      unmatched: "`'error'`",
      serverOptions: 'insecure',
      credentials: 'insecure',
      channelCredentials: 'insecure',
    }
    const described = optionTables(readmeOf('grpc-testing')).get('## The server and its clients')
    expect(Object.fromEntries(described ?? [])).toEqual(defaults)
    expect(server.behaviour).toBe(echo)
    expect(server.server.constructor).not.toBe(stock.server.constructor)
    expect(server.address).toMatch(/^127\.0\.0\.1:\d+$/)
  })
})
