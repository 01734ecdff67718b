import type { Metadata } from '@grpc/grpc-js'
import type { Call } from '@grpc-stack/grpc-core'
import type { CredentialScrubber } from '@grpc-stack/grpc-core/authoring'
import type { LogFields } from './logger.ts'
import { maskedMetadata, type ShownMetadata } from './masked-metadata.ts'
import type { MethodPlan } from './method-plan.ts'

/** The metadata of one call, for records that show them. */
export class MetadataLog {
  readonly #plan: MethodPlan
  readonly #allowed: ReadonlySet<string>
  readonly #call: Call
  readonly #request: ShownMetadata | undefined
  #response: ShownMetadata | undefined

  constructor(plan: MethodPlan, allowed: ReadonlySet<string>, call: Call) {
    this.#plan = plan
    this.#allowed = allowed
    this.#call = call
    this.#request = this.#masked(call.metadata)
  }

  headers(metadata: Metadata): void {
    this.#response = this.#masked(metadata)
  }

  /** Adds to the record of the end. */
  addTo(fields: LogFields, trailers: Metadata | undefined, scrub: CredentialScrubber | undefined): void {
    if (this.#request) fields['grpc.request.metadata'] = scrubbed(this.#request, scrub)
    if (this.#response) fields['grpc.response.metadata'] = scrubbed(this.#response, scrub)
    const shown = trailers && this.#masked(trailers)
    if (shown && Object.keys(shown).length > 0) fields['grpc.response.trailers'] = scrubbed(shown, scrub)
  }

  #masked(metadata: Metadata): ShownMetadata | undefined {
    return this.#plan.contained.run('metadata', () => maskedMetadata(metadata, this.#allowed), this.#call)
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
