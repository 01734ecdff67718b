import type { Metadata } from '@grpc/grpc-js'
import { type CredentialScrubber, isCredentialName } from '@grpc-stack/grpc-core/authoring'
import type { Span } from '@opentelemetry/api'
import type { SemanticConventions } from './conventions.ts'

/** Where the metadata was. */
export type MetadataPart = 'requestHeaders' | 'responseHeaders' | 'responseTrailers'

/** A metadata key and the attributes its values go to. */
interface Capture {
  readonly key: string
  readonly attributes: readonly string[]
  /** Its name announces a credential: that there was one may be seen, and no more. */
  readonly masked: boolean
}

/** Attributes as they were set, by name. */
export type Captured = Map<string, readonly string[]>

const MASKED = '[masked]'

const STABLE: Readonly<Record<MetadataPart, string>> = {
  requestHeaders: 'rpc.request.header.',
  responseHeaders: 'rpc.response.header.',
  responseTrailers: 'rpc.response.trailer.',
}

// instrumentation-grpc knows no trailers, and turns dashes into underscores.
const LEGACY: Readonly<Record<MetadataPart, string>> = {
  requestHeaders: 'rpc.request.metadata.',
  responseHeaders: 'rpc.response.metadata.',
  responseTrailers: 'rpc.response.metadata.',
}

/**
 * Copies the allowed keys of one part of the metadata to attributes: lists of strings, binary values as base64, credentials
 * masked.
 */
export class MetadataCapture {
  readonly #captures: readonly Capture[]

  constructor(part: MetadataPart, keys: readonly string[], conventions: SemanticConventions) {
    this.#captures = keys.map((given) => {
      const key = given.toLowerCase()
      const attributes = []
      if (conventions !== 'legacy') attributes.push(`${STABLE[part]}${key}`)
      if (conventions !== 'stable') attributes.push(`${LEGACY[part]}${key.replaceAll('-', '_')}`)
      return { key, attributes, masked: isCredentialName(key) }
    })
  }

  get isEmpty(): boolean {
    return this.#captures.length === 0
  }

  /**
   * @param over metadata whose values win, where it has the key
   * @returns what was set
   */
  record(span: Span, metadata: Metadata | undefined, over?: Metadata, scrub?: CredentialScrubber): Captured {
    const captured: Captured = new Map()
    for (const { key, attributes, masked } of this.#captures) {
      const winning = over?.get(key) ?? []
      const values = winning.length > 0 ? winning : (metadata?.get(key) ?? [])
      if (values.length === 0) continue
      const texts = values.map((value) => (typeof value === 'string' ? value : value.toString('base64')))
      const shown = masked ? texts.map(() => MASKED) : scrub === undefined ? texts : texts.map(scrub)
      for (const attribute of attributes) {
        span.setAttribute(attribute, shown)
        captured.set(attribute, shown)
      }
    }
    return captured
  }
}

/** Sets the attributes anew in which a credential of the call is repeated. */
export function scrubCaptured(span: Span, captured: Captured, scrub: CredentialScrubber): void {
  for (const [attribute, texts] of captured) {
    const scrubbed = texts.map(scrub)
    if (scrubbed.some((text, i) => text !== texts[i])) span.setAttribute(attribute, scrubbed)
  }
}
