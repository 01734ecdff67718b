import { randomUUID } from 'node:crypto'
import {
  Client,
  status as Code,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { Counter, Histogram, Registry } from 'prom-client'
import { Echo, type EchoMethod, LARGE, MESSAGES, type Payload, SMALL } from './service.ts'
import { intoMetadata, nullLogger, startTracing } from './telemetry.ts'
import { AUDIENCE, ISSUER, jwks, token, WRONG_TOKEN } from './token.ts'
import type { BenchClient, BenchServer, Variant } from './variant.ts'

// What `ours-full` does, written into one client and one server for this service alone, with the same libraries: a span
// and its traceparent, five Prometheus families, a line of pino, a retry of UNAVAILABLE under a budget, a circuit by failure ratio, a
// bearer token; on the server a request id, a span, the same families, a line, the token's verification (once per token), and a
// token bucket. It handles what this benchmark does to it and no more: no deadline of an attempt, no replay of streams, no metadata
// of earlier attempts, no listener that throws.

startTracing()
const logger = nullLogger()
const tracer = trace.getTracer('by hand')
const fromMetadata: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
}

// ── What both sides record ──────────────────────────────────────────────────────────────────────────────────────────

const KINDS = { unary: 'unary', fail: 'unary', hold: 'unary' } as Record<string, string>
const kindOf = (name: EchoMethod): string =>
  KINDS[name] ?? { serverStream: 'server_stream', clientStream: 'client_stream', bidi: 'bidi_stream' }[name as 'bidi']

class Families {
  readonly #labels = ['grpc_type', 'grpc_service', 'grpc_method'] as const
  readonly #registers = [new Registry()]
  readonly started: Counter
  readonly handled: Counter
  readonly received: Counter
  readonly sent: Counter
  readonly seconds: Histogram

  constructor(side: 'client' | 'server') {
    const counter = (what: string, more: readonly string[] = []): Counter =>
      new Counter({
        name: `grpc_${side}_${what}_total`,
        help: what,
        registers: this.#registers,
        labelNames: [...this.#labels, ...more],
      })
    this.started = counter('started')
    this.handled = counter('handled', ['grpc_code'])
    this.received = counter('msg_received')
    this.sent = counter('msg_sent')
    this.seconds = new Histogram({
      name: `grpc_${side}_handling_seconds`,
      help: 'seconds',
      registers: this.#registers,
      labelNames: [...this.#labels],
    })
  }
}

/** One RPC as it is recorded: a span, the families, a line. */
class Recorded {
  readonly inside: Context
  sent = 0
  received = 0
  readonly #side: 'client' | 'server'
  readonly #name: EchoMethod
  readonly #families: Families
  readonly #span: Span
  readonly #start = performance.now()
  readonly #labels: { grpc_type: string; grpc_service: string; grpc_method: string }
  readonly #more: object

  constructor(side: 'client' | 'server', name: EchoMethod, families: Families, parent: Context, more: object = {}) {
    this.#side = side
    this.#name = name
    this.#families = families
    this.#more = more
    const method = Echo[name].path.slice('/bench.v1.Echo/'.length)
    this.#labels = { grpc_type: kindOf(name), grpc_service: 'bench.v1.Echo', grpc_method: method }
    families.started.inc(this.#labels)
    const attributes = {
      'rpc.system.name': 'grpc',
      'rpc.method': `bench.v1.Echo/${method}`,
      'server.address': '127.0.0.1',
      'server.port': 50051,
    }
    const kind = side === 'client' ? SpanKind.CLIENT : SpanKind.SERVER
    this.#span = tracer.startSpan(`bench.v1.Echo/${method}`, { kind, attributes }, parent)
    this.inside = trace.setSpan(parent, this.#span)
  }

  end(code: Code, details: string, peer: string): void {
    const ms = performance.now() - this.#start
    const grpcCode = Code[code] as string
    this.#span.setAttribute('rpc.response.status_code', grpcCode)
    if (code !== Code.OK) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: details })
    this.#span.end()
    this.#families.handled.inc({ ...this.#labels, grpc_code: grpcCode })
    this.#families.seconds.observe(this.#labels, ms / 1000)
    if (this.sent > 0) this.#families.sent.inc(this.#labels, this.sent)
    if (this.received > 0) this.#families.received.inc(this.#labels, this.received)
    const { traceId, spanId } = this.#span.spanContext()
    const fields = {
      protocol: 'grpc',
      'grpc.component': this.#side,
      'grpc.service': 'bench.v1.Echo',
      'grpc.method': this.#labels.grpc_method,
      'grpc.method_type': kindOf(this.#name),
      'grpc.code': grpcCode,
      'grpc.time_ms': Math.round(ms * 1000) / 1000,
      'peer.address': peer,
      trace_id: traceId,
      span_id: spanId,
      ...this.#more,
    }
    if (code === Code.OK) logger.info(fields, 'finished call')
    else logger.warn({ ...fields, 'grpc.error': details }, 'finished call')
  }
}

// ── Client ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Refuses while more than half of at least 20 recent calls have failed. */
class Circuit {
  #calls = 0
  #failures = 0
  #since = performance.now()
  #openUntil = 0

  get open(): boolean {
    return this.#openUntil > 0 && performance.now() < this.#openUntil
  }

  record(code: Code): void {
    const now = performance.now()
    if (now - this.#since > 10_000) {
      this.#calls = this.#failures = 0
      this.#since = now
    }
    this.#calls++
    if (code === Code.UNAVAILABLE || code === Code.INTERNAL || code === Code.UNKNOWN) this.#failures++
    if (this.#calls >= 20 && this.#failures * 2 > this.#calls) this.#openUntil = now + 5_000
  }
}

function openByHand(port: number, mayEnter: boolean): BenchClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  const families = new Families('client')
  const circuit = new Circuit()
  const authorization = `Bearer ${mayEnter ? token : WRONG_TOKEN}`
  let retryTokens = 10

  const outgoing = (rpc: Recorded, attempt: number): Metadata => {
    const metadata = new Metadata()
    propagation.inject(rpc.inside, metadata, intoMetadata)
    metadata.set('authorization', authorization)
    if (attempt > 1) metadata.set('grpc-previous-rpc-attempts', String(attempt - 1))
    return metadata
  }

  /** Whether another attempt follows. */
  const again = (code: Code, attempt: number): boolean => {
    circuit.record(code)
    if (code === Code.OK) retryTokens = Math.min(10, retryTokens + 0.1)
    if (code !== Code.UNAVAILABLE || attempt >= 3) return false
    retryTokens = Math.max(0, retryTokens - 1)
    return retryTokens > 5
  }

  const call = (name: EchoMethod, message: Payload): Promise<void> =>
    new Promise((resolve, reject) => {
      const rpc = new Recorded('client', name, families, context.active())
      const { path, requestSerialize, responseDeserialize } = Echo[name]
      const attempt = (number: number): void => {
        if (circuit.open) {
          rpc.end(Code.UNAVAILABLE, 'circuit open', '')
          reject(new Error('circuit open'))
          return
        }
        const made = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          message,
          outgoing(rpc, number),
          (error: ServiceError | null) => {
            const code = error?.code ?? Code.OK
            if (again(code, number)) {
              setTimeout(attempt, Math.random() * 100 * 2 ** number, number + 1)
              return
            }
            rpc.sent = 1
            if (error === null) rpc.received = 1
            rpc.end(code, error?.details ?? '', made.getPeer())
            if (error === null) resolve()
            else reject(error)
          },
        )
      }
      context.with(rpc.inside, attempt, undefined, 1)
    })

  /** A stream, which is not tried again once it has begun. */
  const stream = <S extends NodeJS.EventEmitter & { getPeer(): string }>(
    name: EchoMethod,
    open: (metadata: Metadata, rpc: Recorded, done: (error: Error | null) => void) => S,
  ): Promise<void> =>
    new Promise((resolve, reject) => {
      const rpc = new Recorded('client', name, families, context.active())
      if (circuit.open) {
        rpc.end(Code.UNAVAILABLE, 'circuit open', '')
        reject(new Error('circuit open'))
        return
      }
      context.with(rpc.inside, () => {
        const made = open(outgoing(rpc, 1), rpc, (error) => (error ? reject(error) : resolve()))
        made.on('status', ({ code, details }: { code: Code; details: string }) => {
          again(code, 3)
          rpc.end(code, details, made.getPeer())
        })
      })
    })

  return {
    unary: (large) => call('unary', large ? LARGE : SMALL),
    fail: () =>
      call('fail', SMALL).then(
        () => Promise.reject(new Error('did not fail')),
        () => undefined,
      ),
    serverStream: () =>
      stream('serverStream', (metadata, rpc, done) => {
        const { path, requestSerialize, responseDeserialize } = Echo.serverStream
        const made = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, SMALL, metadata)
        rpc.sent = 1
        made.on('data', () => void rpc.received++)
        made.on('error', done)
        made.on('end', () => done(null))
        return made
      }),
    clientStream: () =>
      stream('clientStream', (metadata, rpc, done) => {
        const { path, requestSerialize, responseDeserialize } = Echo.clientStream
        const made = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, metadata, (error) => {
          if (error === null) rpc.received = 1
          done(error)
        })
        const send = (): void => {
          while (rpc.sent < MESSAGES) {
            rpc.sent++
            if (!made.write(SMALL)) {
              made.once('drain', send)
              return
            }
          }
          made.end()
        }
        send()
        return made
      }),
    bidi: () =>
      stream('bidi', (metadata, rpc, done) => {
        const { path, requestSerialize, responseDeserialize } = Echo.bidi
        const made = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata)
        made.on('data', () => {
          if (++rpc.received === MESSAGES) made.end()
          else {
            rpc.sent++
            made.write(SMALL)
          }
        })
        made.on('error', done)
        made.on('end', () => done(null))
        rpc.sent = 1
        made.write(SMALL)
        return made
      }),
    hold: () => () => undefined,
    close: () => client.close(),
  }
}

// ── Server ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const keys = createLocalJWKSet(jwks)
/** Until when a token that was verified is good, epoch seconds; 0 for one that is not. */
const verdicts = new Map<string, number>()

async function verify(given: string): Promise<boolean> {
  try {
    const { payload } = await jwtVerify(given, keys, { issuer: ISSUER, audience: AUDIENCE })
    verdicts.set(given, payload.exp ?? 0)
    return true
  } catch {
    verdicts.set(given, 0)
    return false
  }
}

class Bucket {
  readonly #perMs = 1e6
  readonly #burst = 1e9
  #tokens = 1e9
  #at = performance.now()

  take(): boolean {
    const now = performance.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

type AnyServerCall = ServerUnaryCall<Payload, Payload> &
  ServerReadableStream<Payload, Payload> &
  ServerWritableStream<Payload, Payload> &
  ServerDuplexStream<Payload, Payload>

async function serveByHand(): Promise<BenchServer> {
  const families = new Families('server')
  const bucket = new Bucket()

  /** Undefined lets the call in; otherwise what to refuse it with. Synchronous for a token that is known. */
  const admit = (
    metadata: Metadata,
  ): undefined | Partial<ServiceError> | Promise<undefined | Partial<ServiceError>> => {
    const limited = () => (bucket.take() ? undefined : { code: Code.RESOURCE_EXHAUSTED, details: 'rate limit' })
    const [header] = metadata.get('authorization')
    const given =
      typeof header === 'string' && header.startsWith('Bearer ') ? header.slice('Bearer '.length) : undefined
    const refused = { code: Code.UNAUTHENTICATED, details: 'invalid credentials' }
    if (given === undefined) return refused
    const until = verdicts.get(given)
    if (until === undefined) return verify(given).then((good) => (good ? limited() : refused))
    if (until === 0) return refused
    return until > Date.now() / 1000 ? limited() : refused
  }

  const surround =
    (name: EchoMethod, handle: (call: AnyServerCall, rpc: Recorded, respond: sendUnaryData<Payload>) => void) =>
    (call: AnyServerCall, callback?: sendUnaryData<Payload>): void => {
      const { metadata } = call
      const [given] = metadata.get('x-request-id')
      const requestId = typeof given === 'string' && /^[\w.-]{1,128}$/.test(given) ? given : randomUUID()
      const parent = propagation.extract(ROOT_CONTEXT, metadata, fromMetadata)
      const rpc = new Recorded('server', name, families, parent, { 'request.id': requestId })
      const headers = new Metadata()
      headers.set('x-request-id', requestId)
      const refuse = (refusal: Partial<ServiceError>): void => {
        rpc.end(refusal.code ?? Code.UNKNOWN, refusal.details ?? '', call.getPeer())
        if (callback === undefined) call.emit('error', refusal)
        else callback(refusal)
      }
      const enter = (): void => {
        call.sendMetadata(headers)
        const respond: sendUnaryData<Payload> = (error, value) => {
          if (!error) rpc.sent = 1
          rpc.end(error?.code ?? Code.OK, error?.details ?? '', call.getPeer())
          callback?.(error, value)
        }
        context.with(rpc.inside, handle, undefined, call, rpc, respond)
      }
      const refusal = admit(metadata)
      if (refusal === undefined) enter()
      else if (refusal instanceof Promise) void refusal.then((late) => (late === undefined ? enter() : refuse(late)))
      else refuse(refusal)
    }

  const server = new Server()
  const handlers: object = {
    unary: surround('unary', (call, rpc, respond) => {
      rpc.received = 1
      respond(null, call.request)
    }),
    fail: surround('fail', (_call, rpc, respond) => {
      rpc.received = 1
      respond({ code: Code.NOT_FOUND, details: 'no such thing' })
    }),
    hold: () => undefined,
    serverStream: surround('serverStream', (call, rpc) => {
      rpc.received = 1
      const send = (): void => {
        while (rpc.sent < MESSAGES) {
          rpc.sent++
          if (!call.write(call.request)) {
            call.once('drain', send)
            return
          }
        }
        rpc.end(Code.OK, '', call.getPeer())
        call.end()
      }
      send()
    }),
    clientStream: surround('clientStream', (call, rpc, respond) => {
      call.on('data', () => void rpc.received++)
      call.on('end', () => respond(null, SMALL))
    }),
    bidi: surround('bidi', (call, rpc) => {
      call.on('data', (message) => {
        rpc.received++
        rpc.sent++
        call.write(message)
      })
      call.on('end', () => {
        rpc.end(Code.OK, '', call.getPeer())
        call.end()
      })
    }),
  }
  server.addService(Echo, handlers as UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { port, close: () => server.forceShutdown() }
}

/** The full stack without any of our code, in one piece: what an expert's own version of it costs. */
export const fullByHand: Variant = { refuses: true, startServer: serveByHand, openClient: openByHand }
