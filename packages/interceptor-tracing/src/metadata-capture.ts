import type { Metadata } from '@grpc/grpc-js'
import type { Span } from '@opentelemetry/api'
import type { SemanticConventions } from './conventions.ts'

/** Where the metadata was. */
export type MetadataPart = 'requestHeaders' | 'responseHeaders' | 'responseTrailers'

/** A metadata key and the attributes its values go to. */
interface Capture {
  readonly key: string
  readonly attributes: readonly string[]
}

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

/** Copies the allowed keys of one part of the metadata to attributes: lists of strings, binary values as base64. */
export class MetadataCapture {
  readonly #captures: readonly Capture[]

  constructor(part: MetadataPart, keys: readonly string[], conventions: SemanticConventions) {
    this.#captures = keys.map((given) => {
      const key = given.toLowerCase()
      const attributes = []
      if (conventions !== 'legacy') attributes.push(`${STABLE[part]}${key}`)
      if (conventions !== 'stable') attributes.push(`${LEGACY[part]}${key.replaceAll('-', '_')}`)
      return { key, attributes }
    })
  }

  get isEmpty(): boolean {
    return this.#captures.length === 0
  }

  /** @param over metadata whose values win, where it has the key */
  record(span: Span, metadata: Metadata | undefined, over?: Metadata): void {
    for (const { key, attributes } of this.#captures) {
      const winning = over?.get(key) ?? []
      const values = winning.length > 0 ? winning : (metadata?.get(key) ?? [])
      if (values.length === 0) continue
      const texts = values.map((value) => (typeof value === 'string' ? value : value.toString('base64')))
      for (const attribute of attributes) span.setAttribute(attribute, texts)
    }
  }
}
