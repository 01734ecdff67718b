import { status as Code } from '@grpc/grpc-js'
import { type Context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { EchoMethod } from '../service.ts'
import { type Families, goCodeNames, type MethodLabels } from './families.ts'

type Side = 'client' | 'server'

const tracer = trace.getTracer('by hand')

/** How an RPC ended, as far as it is recorded. */
export interface End {
  readonly code: Code
  readonly details: string
  readonly peer: string
  /** What refused it on this side. */
  readonly refusedBy?: string | undefined
  readonly attempts?: number | undefined
}

/** One RPC as it is recorded: a span, the metrics, a line. */
export class Recorded {
  readonly inside: Context
  sent = 0
  received = 0
  readonly #side: Side
  readonly #families: Families
  readonly #logger: Logger
  readonly #span: Span
  readonly #startTime = Date.now()
  readonly #start = performance.now()
  readonly #labels: MethodLabels
  readonly #requestId: string | undefined
  /** The token that came or went with the RPC. */
  #credential = ''
  #ended = false

  constructor(
    side: Side,
    name: EchoMethod,
    { families, logger }: { readonly families: Families; readonly logger: Logger },
    host: string,
    parent: Context,
    requestId?: string,
  ) {
    this.#side = side
    this.#families = families
    this.#logger = logger
    this.#requestId = requestId
    this.#labels = families.of(name)
    families.started.inc(this.#labels)
    families.inFlight.inc(this.#labels)
    const { address, port } = splitAddress(host)
    const method = `${this.#labels.grpc_service}/${this.#labels.grpc_method}`
    const attributes = {
      'rpc.system.name': 'grpc',
      'rpc.method': method,
      'server.address': address,
      ...(port !== undefined && { 'server.port': port }),
    }
    const kind = side === 'client' ? SpanKind.CLIENT : SpanKind.SERVER
    this.#span = tracer.startSpan(method, { kind, attributes }, parent)
    this.inside = trace.setSpan(parent, this.#span)
  }

  /** Texts of the end must not show it. */
  hide(credential: string): void {
    this.#credential = credential
  }

  /** However many events end the RPC, the first counts. */
  end({ code, details, peer, refusedBy, attempts = 1 }: End): void {
    if (this.#ended) return
    this.#ended = true
    const ms = performance.now() - this.#start
    const grpcCode = Code[code] as string
    const text = code === Code.OK ? '' : withoutCredentials(details, this.#credential)
    this.#endSpan(code, grpcCode, text, peer, refusedBy, attempts)
    this.#measure(code, ms, refusedBy)
    this.#log(code, grpcCode, text, ms, peer, refusedBy, attempts)
  }

  #endSpan(
    code: Code,
    grpcCode: string,
    text: string,
    peer: string,
    refusedBy: string | undefined,
    attempts: number,
  ): void {
    const span = this.#span
    span.setAttribute('rpc.status_code', grpcCode)
    const { address, port } = splitAddress(peer)
    span.setAttribute('network.peer.address', address)
    if (port !== undefined) span.setAttribute('network.peer.port', port)
    if (attempts > 1) span.setAttribute('grpc_stack.attempts', attempts)
    if (refusedBy !== undefined) span.setAttribute('grpc_stack.refused_by', refusedBy)
    if (this.#side === 'client' ? code !== Code.OK : SERVER_ERRORS.has(code)) {
      span.setAttribute('error.type', grpcCode)
      span.setStatus({ code: SpanStatusCode.ERROR, message: text })
    }
    span.end()
  }

  #measure(code: Code, ms: number, refusedBy: string | undefined): void {
    const families = this.#families
    const labels = this.#labels
    families.inFlight.dec(labels)
    families.handled.inc({ ...labels, grpc_code: goCodeNames[code] as string })
    families.seconds.observe(labels, ms / 1000)
    if (this.sent > 0) families.sent.inc(labels, this.sent)
    if (this.received > 0) families.received.inc(labels, this.received)
    if (refusedBy !== undefined) families.refused.inc({ ...labels, interceptor: refusedBy })
  }

  #log(
    code: Code,
    grpcCode: string,
    text: string,
    ms: number,
    peer: string,
    refusedBy: string | undefined,
    attempts: number,
  ): void {
    const level = levelOf(this.#side, code)
    if (!this.#logger.isLevelEnabled(level)) return
    const type = this.#labels.grpc_type
    const { traceId, spanId } = this.#span.spanContext()
    const fields: Record<string, unknown> = {
      protocol: 'grpc',
      'grpc.component': this.#side,
      'grpc.service': this.#labels.grpc_service,
      'grpc.method': this.#labels.grpc_method,
      'grpc.method_type': type,
      'grpc.code': grpcCode,
      'grpc.time_ms': Math.round(ms * 1000) / 1000,
      'grpc.start_time': new Date(this.#startTime).toISOString(),
      'peer.address': peer,
    }
    if (this.#requestId !== undefined) fields['request.id'] = this.#requestId
    fields.trace_id = traceId
    fields.span_id = spanId
    const [requests, responses] = this.#side === 'client' ? [this.sent, this.received] : [this.received, this.sent]
    if (type === 'client_stream' || type === 'bidi_stream') fields['grpc.request.count'] = requests
    if (type === 'server_stream' || type === 'bidi_stream') fields['grpc.response.count'] = responses
    if (attempts > 1) fields['grpc.attempts'] = attempts
    if (code !== Code.OK) {
      fields['grpc.error'] = text
      fields['grpc.origin'] = refusedBy === undefined ? 'remote' : 'local'
      if (refusedBy !== undefined) fields['grpc.refused_by'] = refusedBy
    }
    this.#logger[level](fields, 'finished call')
  }
}

let lastAddress = ''
let lastSplit: { readonly address: string; readonly port: number | undefined } = { address: '', port: undefined }

/** Host and port. Most calls come from, and go to, where the last one did. */
function splitAddress(text: string): typeof lastSplit {
  if (text !== lastAddress) {
    const colon = text.lastIndexOf(':')
    const port = colon < 0 ? Number.NaN : Number(text.slice(colon + 1))
    lastSplit = Number.isNaN(port) ? { address: text, port: undefined } : { address: text.slice(0, colon), port }
    lastAddress = text
  }
  return lastSplit
}

/** Those that are the server's own doing (semantic conventions for RPC). */
const SERVER_ERRORS = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
])

type Level = 'debug' | 'info' | 'warn' | 'error'

// go-grpc-middleware's levels, but for OK on a client: a line for each call on both sides.
const LEVELS: Readonly<Record<Side, { readonly usual: Level; readonly others: Partial<Record<Code, Level>> }>> = {
  client: {
    usual: 'debug',
    others: {
      [Code.OK]: 'info',
      [Code.UNKNOWN]: 'info',
      [Code.DEADLINE_EXCEEDED]: 'info',
      [Code.PERMISSION_DENIED]: 'info',
      [Code.UNAUTHENTICATED]: 'info',
      [Code.UNIMPLEMENTED]: 'warn',
      [Code.INTERNAL]: 'warn',
      [Code.UNAVAILABLE]: 'warn',
      [Code.DATA_LOSS]: 'warn',
    },
  },
  server: {
    usual: 'warn',
    others: {
      [Code.OK]: 'info',
      [Code.CANCELLED]: 'info',
      [Code.INVALID_ARGUMENT]: 'info',
      [Code.NOT_FOUND]: 'info',
      [Code.ALREADY_EXISTS]: 'info',
      [Code.UNAUTHENTICATED]: 'info',
      [Code.UNKNOWN]: 'error',
      [Code.UNIMPLEMENTED]: 'error',
      [Code.INTERNAL]: 'error',
      [Code.DATA_LOSS]: 'error',
    },
  },
}

function levelOf(side: Side, code: Code): Level {
  const { usual, others } = LEVELS[side]
  return others[code] ?? usual
}

const JWT = /\beyJ[\w-]{6,}(?:\.[\w-]+){1,4}/g
const BEARER = /\b(bearer\s+)[\w.~+/=-]{16,}/gi

/** What a peer says may quote the token it was sent, or another. */
function withoutCredentials(text: string, credential: string): string {
  const bounded = text.length > 1024 ? `${text.slice(0, 1024)}…` : text
  const own = credential === '' ? bounded : bounded.replaceAll(credential, '[redacted]')
  return own.replace(JWT, '[redacted]').replace(BEARER, '$1[redacted]')
}
