import type { Metadata } from '@grpc/grpc-js'
import type { Call } from '@grpc-stack/grpc-core'
import type { CredentialScrubber } from '@grpc-stack/grpc-core/authoring'
import type { LogFields } from './logger.ts'
import { maskedMetadata, type ShownMetadata } from './masked-metadata.ts'
import type { MethodPlan } from './method-plan.ts'

/** Writes the record of a message; `n` is its number, from 1. */
export type MessageWriter = (direction: 'request' | 'response', message: unknown, n: number) => void

/** What passed in one call, as far as anybody wants to know: messages and their sizes, metadata. */
export class CallTraffic {
  readonly #plan: MethodPlan
  #requests = 0
  #responses = 0
  #requestBytes = 0
  #responseBytes = 0
  #requestMetadata: ShownMetadata | undefined
  #responseMetadata: ShownMetadata | undefined

  constructor(plan: MethodPlan, call: Call, write: MessageWriter) {
    this.#plan = plan
    const { watchesRequests, watchesResponses, settings } = plan
    if (watchesRequests) {
      call.onRequest((message) => {
        this.#requestBytes += this.#sizeOf(message, call)
        write('request', message, ++this.#requests)
      })
    }
    if (watchesResponses) {
      call.onResponse((message) => {
        this.#responseBytes += this.#sizeOf(message, call)
        write('response', message, ++this.#responses)
      })
    }
    const { metadata: allowed } = settings
    if (allowed === undefined) return
    this.#requestMetadata = this.#masked(call.metadata, allowed)
    call.onResponseMetadata((metadata) => {
      this.#responseMetadata = this.#masked(metadata, allowed)
    })
  }

  /** Adds to the record of the end. */
  addTo(fields: LogFields, call: Call, trailers: Metadata | undefined, scrub: CredentialScrubber | undefined): void {
    const { sizeOf, metadata: allowed } = this.#plan.settings
    if (call.method.requestStream) fields['grpc.request.count'] = this.#requests
    if (call.method.responseStream) fields['grpc.response.count'] = this.#responses
    if (sizeOf !== undefined) {
      fields['grpc.request.size'] = this.#requestBytes
      fields['grpc.response.size'] = this.#responseBytes
    }
    if (allowed === undefined) return
    if (this.#requestMetadata) fields['grpc.request.metadata'] = scrubbed(this.#requestMetadata, scrub)
    if (this.#responseMetadata) fields['grpc.response.metadata'] = scrubbed(this.#responseMetadata, scrub)
    const shown = trailers && this.#masked(trailers, allowed)
    if (shown && Object.keys(shown).length > 0) fields['grpc.response.trailers'] = scrubbed(shown, scrub)
  }

  #masked(metadata: Metadata, allowed: ReadonlySet<string>): ShownMetadata | undefined {
    return this.#plan.contained.run('metadata', () => maskedMetadata(metadata, allowed))
  }

  #sizeOf(message: unknown, call: Call): number {
    const { settings, contained } = this.#plan
    const { sizeOf } = settings
    if (sizeOf === undefined) return 0
    const bytes = contained.run('sizeOf', () => sizeOf(message), call)
    return typeof bytes === 'number' && Number.isFinite(bytes) ? bytes : 0
  }
}

/** Peers repeat in other headers what they do not accept. */
function scrubbed(shown: ShownMetadata, scrub: CredentialScrubber | undefined): ShownMetadata {
  if (scrub === undefined) return shown
  const entries = Object.entries(shown).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(scrub) : scrub(value),
  ])
  return Object.fromEntries(entries)
}
