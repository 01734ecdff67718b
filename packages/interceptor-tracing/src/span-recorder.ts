import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, ClientCall, MethodInfo, ServerCall, Status } from '@grpc-stack/grpc-core'
import { type CredentialScrubber, credentialScrubber } from '@grpc-stack/grpc-core/authoring'
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
import type { Containment } from './containment.ts'
import {
  ATTEMPTS,
  attemptNameOf,
  codeName,
  ERROR_TYPE,
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
import { linkMessages, recordMessageEvents } from './message-taps.ts'
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
  /** Request metadata that the call does not hold any more. Default: none. */
  readonly metadata?: readonly Metadata[]
}

/** gRFC A6: set by whatever retries, from the second attempt on. */
const PREVIOUS_ATTEMPTS_KEY = 'grpc-previous-rpc-attempts'

/** Starts and ends the spans of one `tracing()`. Whatever fails on the way is counted, never thrown. */
export class SpanRecorder {
  readonly #settings: Settings
  readonly #containment: Containment
  readonly #methods = new WeakMap<MethodInfo, MethodTrace>()
  readonly #peers = new LastParsed(networkPeer)
  readonly #targets = new LastParsed(serverOfTarget)
  readonly #looksAtStart: boolean
  readonly #requestHeaders: MetadataCapture
  readonly #responseHeaders: MetadataCapture
  readonly #responseTrailers: MetadataCapture
  /** What was copied from metadata before it was known how the call would end. */
  readonly #captured = new WeakMap<Span, Captured[]>()

  constructor(settings: Settings, containment: Containment) {
    this.#settings = settings
    this.#containment = containment
    const { metadata, semanticConventions: conventions } = settings
    this.#requestHeaders = new MetadataCapture('requestHeaders', metadata.requestHeaders ?? [], conventions)
    this.#responseHeaders = new MetadataCapture('responseHeaders', metadata.responseHeaders ?? [], conventions)
    this.#responseTrailers = new MetadataCapture('responseTrailers', metadata.responseTrailers ?? [], conventions)
    this.#looksAtStart =
      settings.messageEvents ||
      settings.messageLinks !== undefined ||
      settings.requestHook !== undefined ||
      !this.#requestHeaders.isEmpty ||
      !this.#responseHeaders.isEmpty
  }

  methodOf(call: Call): MethodTrace {
    const known = this.#methods.get(call.method)
    if (known !== undefined) return known
    const method = this.#describe(call)
    // Callers can mint paths nobody registered; a WeakMap lets go of them, but not before the next collection.
    if (call.method.registered) this.#methods.set(call.method, method)
    return method
  }

  #describe(call: Call): MethodTrace {
    const { per, semanticConventions, traces, target } = this.#settings
    let traced = true
    try {
      traced = traces(call.method)
    } catch (error) {
      this.#containment.failed(error, 'option "methods"')
    }
    const attributes = methodAttributes(call.method, semanticConventions)
    if (call.side === 'client') this.#setServer(attributes, target ?? (call as ClientCall).target)
    const name = per === 'attempt' ? attemptNameOf(call.method) : spanNameOf(call.method)
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
    let span: Span
    try {
      const options: SpanOptions = { kind, attributes: this.#attributesOf(call, method, previousAttempts) }
      if (startTime !== undefined) options.startTime = startTime
      if (links !== undefined || this.#settings.links !== undefined) options.links = this.#linksOf(call, links)
      span = tracer.startSpan(this.#nameOf(call, method), options, parent)
      if (!span.isRecording()) {
        // One without an identity would cut the trace that passes through.
        return span.spanContext().traceId === INVALID_TRACEID ? undefined : span
      }
    } catch (error) {
      this.#containment.failed(error, 'starting a span', call)
      return undefined
    }
    if (this.#looksAtStart) this.#started(span, call)
    return span
  }

  #nameOf(call: Call, method: MethodTrace): string {
    const { spanName } = this.#settings
    if (spanName === undefined) return method.name
    try {
      return spanName(call)
    } catch (error) {
      this.#containment.failed(error, 'option "spanName"', call)
      return method.name
    }
  }

  #attributesOf(call: Call, method: MethodTrace, previousAttempts: number | undefined): Attributes {
    const { attributes: given, per } = this.#settings
    let { attributes } = method
    // grpc-js types the host as a string; a request may have brought none.
    if (call.side === 'server') attributes = method.ofHost.parse((call as ServerCall).host ?? '')
    else if (per === 'attempt') {
      const previous = previousAttempts ?? (Number(call.metadata.get(PREVIOUS_ATTEMPTS_KEY)[0] ?? 0) || 0)
      attributes = { ...attributes, [PREVIOUS_ATTEMPTS]: previous }
    }
    if (given === undefined) return attributes
    try {
      return { ...attributes, ...(typeof given === 'function' ? given(call) : given) }
    } catch (error) {
      this.#containment.failed(error, 'option "attributes"', call)
      return attributes
    }
  }

  #linksOf(call: Call, links: readonly Link[] = []): Link[] {
    try {
      return [...links, ...(this.#settings.links?.(call) ?? [])]
    } catch (error) {
      this.#containment.failed(error, 'option "links"', call)
      return [...links]
    }
  }

  #started(span: Span, call: Call): void {
    const { messageEvents, messageLinks, requestHook } = this.#settings
    try {
      if (!this.#requestHeaders.isEmpty) this.#remember(span, this.#requestHeaders.record(span, call.metadata))
      if (!this.#responseHeaders.isEmpty) {
        call.onResponseMetadata((metadata) => {
          try {
            this.#remember(span, this.#responseHeaders.record(span, metadata))
          } catch (error) {
            this.#containment.failed(error, 'recording response headers', call)
          }
        })
      }
      if (messageEvents) recordMessageEvents(span, call, this.#containment)
      if (messageLinks !== undefined) linkMessages(span, call, messageLinks, this.#containment)
    } catch (error) {
      this.#containment.failed(error, 'recording the start of a call', call)
    }
    if (requestHook === undefined) return
    try {
      this.#containment.watch(requestHook(span, call), 'option "requestHook"', call)
    } catch (error) {
      this.#containment.failed(error, 'option "requestHook"', call)
    }
  }

  #remember(span: Span, captured: Captured): void {
    if (captured.size > 0) this.#captured.set(span, [...(this.#captured.get(span) ?? []), captured])
  }

  /** Ends a recording span with how the RPC ended. */
  end(
    span: Span,
    call: Call,
    method: MethodTrace,
    status: Status,
    { endTime, metadata = [] }: EndOptions = NO_OPTIONS,
  ): void {
    try {
      // Only what is recorded of a failure quotes what came with the call.
      const scrub = status.code === Code.OK ? undefined : credentialScrubber(call, status.metadata, ...metadata)
      this.#describeEnd(span, call, method, status, scrub)
    } catch (error) {
      this.#containment.failed(error, 'recording the end of a call', call)
    }
    const { responseHook } = this.#settings
    if (responseHook !== undefined) {
      try {
        this.#containment.watch(responseHook(span, status, call), 'option "responseHook"', call)
      } catch (error) {
        this.#containment.failed(error, 'option "responseHook"', call)
      }
    }
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
    if (status.refusedBy !== undefined) span.setAttribute(REFUSED_BY, status.refusedBy)
    if (!this.#responseTrailers.isEmpty) {
      const over = call.side === 'server' ? (call as ServerCall).trailers : undefined
      this.#responseTrailers.record(span, status.metadata, over, scrub)
    }
    if (scrub !== undefined) for (const captured of this.#captured.get(span) ?? []) scrubCaptured(span, captured, scrub)
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
    if (isError === undefined) return isErrorByConvention(status.code, call.side)
    try {
      return isError(status, call)
    } catch (error) {
      this.#containment.failed(error, 'option "isError"', call)
      return isErrorByConvention(status.code, call.side)
    }
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
