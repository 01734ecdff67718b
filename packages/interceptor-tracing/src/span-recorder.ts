import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, ClientCall, MethodInfo, ServerCall, Status } from '@grpc-stack/grpc-core'
import {
  type Containment,
  type CredentialScrubber,
  credentialScrubber,
  perMethod,
} from '@grpc-stack/grpc-core/authoring'
import {
  type Attributes,
  type Context,
  INVALID_TRACEID,
  type Link,
  type Span,
  type SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api'
import {
  ATTEMPTS,
  attemptNameOf,
  codeName,
  ERROR_TYPE,
  HEDGES,
  isErrorByConvention,
  methodAttributes,
  NETWORK_PEER_ADDRESS,
  NETWORK_PEER_PORT,
  PREVIOUS_ATTEMPTS,
  REFUSED_BY,
  RPC_GRPC_STATUS_CODE,
  RPC_STATUS_CODE,
  SERVER_ADDRESS,
  SERVER_PORT,
  spanNameOf,
} from './conventions.ts'
import { LastParsed } from './last-parsed.ts'
import { type Captured, MetadataCapture, scrubCaptured } from './metadata-capture.ts'
import { networkPeer } from './network-peer.ts'
import type { Settings } from './options.ts'
import { recordedException } from './recorded-exception.ts'
import { serverOfTarget, splitHost } from './server-address.ts'

/** What is the same for every call of a method. */
export interface MethodTrace {
  readonly traced: boolean
  readonly name: string
  readonly attributes: Attributes
  /** The same, on a server, with the host the caller asked for. */
  readonly ofHost: LastParsed<Attributes>
}

/** What is not the same for every span of a method. */
export interface StartOptions {
  readonly links?: readonly Link[] | undefined
  /** Epoch milliseconds. Default: now. */
  readonly startTime?: number | undefined
  /** Attempts before this one. Default: what the metadata says (gRFC A6). */
  readonly previousAttempts?: number | undefined
}

/** What is not the same for every end of a span. */
export interface EndOptions {
  /** Epoch milliseconds. Default: now. */
  readonly endTime?: number | undefined
  /** Takes out the credentials of the call. Default: those that it holds now, and those of the trailers. */
  readonly scrub?: CredentialScrubber | undefined
  /** What was copied from metadata before it was known how the call would end. */
  readonly captured?: readonly Captured[] | undefined
}

/** gRFC A6: set by what retries, from the second attempt on. */
const PREVIOUS_ATTEMPTS_KEY = 'grpc-previous-rpc-attempts'

/** At most two digits: callers write what they like. */
function previousAttemptsOfCaller(call: Call): number | undefined {
  const [value] = call.metadata.get(PREVIOUS_ATTEMPTS_KEY)
  return typeof value === 'string' && /^[1-9]\d?$/.test(value) ? Number(value) : undefined
}

/** Starts and ends the spans of one `tracing()`. Whatever fails on the way is counted, never thrown. */
export class SpanRecorder {
  readonly #settings: Settings
  readonly #containment: Containment
  readonly #methods = perMethod((method, call: Call) => this.#describe(method, call))
  readonly #peers = new LastParsed(networkPeer)
  readonly #targets = new LastParsed(serverOfTarget)
  readonly #requestHeaders: MetadataCapture
  readonly #responseHeaders: MetadataCapture
  readonly #responseTrailers: MetadataCapture

  constructor(settings: Settings, containment: Containment) {
    this.#settings = settings
    this.#containment = containment
    const { metadata, semanticConventions: conventions } = settings
    this.#requestHeaders = new MetadataCapture('requestHeaders', metadata.requestHeaders ?? [], conventions)
    this.#responseHeaders = new MetadataCapture('responseHeaders', metadata.responseHeaders ?? [], conventions)
    this.#responseTrailers = new MetadataCapture('responseTrailers', metadata.responseTrailers ?? [], conventions)
  }

  methodOf(call: Call): MethodTrace {
    return this.#methods(call.method, call)
  }

  #describe(method: MethodInfo, call: Call): MethodTrace {
    const { per, semanticConventions, methods, target } = this.#settings
    const traced = this.#containment.run('methods', () => methods(method)) ?? true
    const attributes = methodAttributes(method, semanticConventions)
    if (call.side === 'client') this.#setServer(attributes, target ?? (call as ClientCall).target)
    const name = per === 'attempt' ? attemptNameOf(method) : spanNameOf(method)
    return { traced, name, attributes, ofHost: new LastParsed((host) => withHost(attributes, host)) }
  }

  /**
   * Undefined where there is no span to speak of: no SDK, tracing suppressed, or the provider failed.
   */
  start(
    tracer: Tracer,
    call: Call,
    method: MethodTrace,
    kind: SpanKind,
    parent: Context,
    { links, startTime, previousAttempts }: StartOptions = NO_OPTIONS,
  ): Span | undefined {
    try {
      const options: SpanOptions = { kind, attributes: this.#attributesOf(call, method, previousAttempts) }
      if (startTime !== undefined) options.startTime = startTime
      if (links !== undefined || this.#settings.links !== undefined) options.links = this.#linksOf(call, links)
      const span = tracer.startSpan(this.#nameOf(call, method), options, parent)
      // One without an identity would cut the trace that passes through.
      return span.isRecording() || span.spanContext().traceId !== INVALID_TRACEID ? span : undefined
    } catch (error) {
      this.#containment.failed(error, 'starting a span', call)
      return undefined
    }
  }

  #nameOf(call: Call, method: MethodTrace): string {
    const { spanName } = this.#settings
    return spanName === undefined ? method.name : this.#chosenName(call, method, spanName)
  }

  // Apart, like other calls of options: a function with a closure in it costs each call something, with an option or without.
  #chosenName(call: Call, method: MethodTrace, spanName: (call: Call) => string): string {
    const name: unknown = this.#containment.run('spanName', () => spanName(call), call)
    if (typeof name === 'string') return name
    if (name !== undefined) this.#containment.failed(new TypeError('it must return a text'), 'spanName', call)
    return method.name
  }

  #attributesOf(call: Call, method: MethodTrace, previousAttempts: number | undefined): Attributes {
    const { attributes: given, per } = this.#settings
    let { attributes } = method
    // grpc-js types the host as a string; a request may have brought none.
    if (call.side === 'server') {
      attributes = method.ofHost.parse((call as ServerCall).host ?? '')
      const previous = previousAttemptsOfCaller(call)
      if (previous !== undefined) attributes = { ...attributes, [PREVIOUS_ATTEMPTS]: previous }
    } else if (per === 'attempt') {
      const previous = previousAttempts ?? (Number(call.metadata.get(PREVIOUS_ATTEMPTS_KEY)[0] ?? 0) || 0)
      attributes = { ...attributes, [PREVIOUS_ATTEMPTS]: previous }
    }
    if (given === undefined) return attributes
    return { ...attributes, ...(typeof given === 'function' ? this.#chosenAttributes(call, given) : given) }
  }

  #chosenAttributes(call: Call, given: (call: Call) => Attributes | undefined): Attributes | undefined {
    return this.#containment.run('attributes', () => given(call), call)
  }

  #linksOf(call: Call, links: readonly Link[] = []): Link[] {
    const own: unknown = this.#containment.run('links', () => this.#settings.links?.(call), call)
    if (own === undefined) return [...links]
    if (Array.isArray(own)) return [...links, ...own]
    this.#containment.failed(new TypeError('it must return a list of links'), 'links', call)
    return [...links]
  }

  /** Whether response headers are copied. */
  get copiesHeaders(): boolean {
    return !this.#responseHeaders.isEmpty
  }

  /** Copies from the response headers of a call that a recording span is of. */
  headers(span: Span, metadata: Metadata): Captured {
    return this.#responseHeaders.record(span, metadata)
  }

  /** A recording span of a call has started. Returns what was copied from the request metadata. */
  started(span: Span, call: Call): Captured | undefined {
    const captured = this.#requestHeaders.isEmpty ? undefined : this.#copyRequest(span, call)
    if (this.#settings.requestHook !== undefined) this.#runRequestHook(span, call)
    return captured
  }

  #copyRequest(span: Span, call: Call): Captured | undefined {
    return this.#containment.run(
      'recording request headers',
      () => this.#requestHeaders.record(span, call.metadata),
      call,
    )
  }

  #runRequestHook(span: Span, call: Call): void {
    this.#containment.run('requestHook', () => this.#settings.requestHook?.(span, call), call)
  }

  #runResponseHook(span: Span, status: Status, call: Call): void {
    this.#containment.run('responseHook', () => this.#settings.responseHook?.(span, status, call), call)
  }

  /** Ends a recording span with how the RPC ended. */
  end(span: Span, call: Call, method: MethodTrace, status: Status, options: EndOptions = NO_OPTIONS): void {
    const { endTime, captured = [] } = options
    try {
      // Only what is recorded of a failure quotes what came with the call.
      const scrub = status.code === Code.OK ? undefined : (options.scrub ?? credentialScrubber(call, status.metadata))
      this.#describeEnd(span, call, method, status, scrub)
      if (scrub !== undefined) for (const copied of captured) scrubCaptured(span, copied, scrub)
    } catch (error) {
      this.#containment.failed(error, 'recording the end of a call', call)
    }
    if (this.#settings.responseHook !== undefined) this.#runResponseHook(span, status, call)
    try {
      span.end(endTime)
    } catch (error) {
      this.#containment.failed(error, 'ending a span', call)
    }
  }

  #describeEnd(
    span: Span,
    call: Call,
    method: MethodTrace,
    status: Status,
    scrub: CredentialScrubber | undefined,
  ): void {
    const { semanticConventions: conventions, recordExceptions } = this.#settings
    const { code } = status
    const name = codeName(code)
    if (conventions !== 'legacy') span.setAttribute(RPC_STATUS_CODE, name)
    if (conventions !== 'stable') span.setAttribute(RPC_GRPC_STATUS_CODE, code)
    this.#describeConnection(span, call, method)
    if (status.attempts !== undefined) span.setAttribute(ATTEMPTS, status.attempts)
    if (status.hedges !== undefined) span.setAttribute(HEDGES, status.hedges)
    if (status.refusedBy !== undefined) span.setAttribute(REFUSED_BY, status.refusedBy)
    if (!this.#responseTrailers.isEmpty) {
      const over = call.side === 'server' ? (call as ServerCall).trailers : undefined
      this.#responseTrailers.record(span, status.metadata, over, scrub)
    }
    if (!this.#isError(status, call)) return
    const clean = scrub ?? credentialScrubber(call)
    span.setAttribute(ERROR_TYPE, name)
    span.setStatus(
      status.details ? { code: SpanStatusCode.ERROR, message: clean(status.details) } : { code: SpanStatusCode.ERROR },
    )
    if (recordExceptions && status.cause instanceof Error) span.recordException(recordedException(status.cause, clean))
  }

  #describeConnection(span: Span, call: Call, method: MethodTrace): void {
    const peer = this.#peers.parse(call.peer())
    if (peer !== undefined) {
      span.setAttribute(NETWORK_PEER_ADDRESS, peer.address)
      if (peer.port !== undefined) span.setAttribute(NETWORK_PEER_PORT, peer.port)
    }
    if (call.side === 'server' || method.attributes[SERVER_ADDRESS] !== undefined) return
    const late: Attributes = {}
    this.#setServer(late, (call as ClientCall).target)
    span.setAttributes(late)
  }

  #isError(status: Status, call: Call): boolean {
    const { isError } = this.#settings
    return isError === undefined
      ? isErrorByConvention(status.code, call.side)
      : this.#isCalledError(status, call, isError)
  }

  #isCalledError(status: Status, call: Call, isError: (status: Status, call: Call) => boolean): boolean {
    const said: unknown = this.#containment.run('isError', () => isError(status, call), call)
    if (typeof said === 'boolean') return said
    if (said !== undefined) this.#containment.failed(new TypeError('it must return true or false'), 'isError', call)
    return isErrorByConvention(status.code, call.side)
  }

  #setServer(attributes: Attributes, target: string | undefined): void {
    if (target === undefined) return
    const { address, port } = this.#targets.parse(target)
    attributes[SERVER_ADDRESS] = address
    if (port !== undefined) attributes[SERVER_PORT] = port
  }
}

const NO_OPTIONS: StartOptions & EndOptions = {}

function withHost(attributes: Attributes, host: string): Attributes {
  const { address, port } = splitHost(host)
  if (address === '') return attributes
  return { ...attributes, [SERVER_ADDRESS]: address, ...(port !== undefined && { [SERVER_PORT]: port }) }
}
