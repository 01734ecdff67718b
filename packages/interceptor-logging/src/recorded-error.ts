import { types } from 'node:util'
import { type CredentialScrubber, isCredentialName } from '@grpc-stack/grpc-core/authoring'
import { cleanText } from './clean-text.ts'
import { type Discretion, excerpt } from './payload.ts'

const LONGEST_NAME = 256
const LONGEST_MESSAGE = 4096
const LONGEST_STACK = 8192
/** Bytes of JSON of what an error carries beside its message. */
const LARGEST_EXTRAS = 2048
const DEEPEST = 8
const MOST_ERRORS = 32

/**
 * What made a call fail, as a record may show it: errors as copies, with their causes and the errors of an `AggregateError`, in
 * which every text is without the credentials of the call, clean and bounded. The copy is an `Error` with the name, the code
 * and the constructor that loggers look for, but runs nothing of the class of the original. Undefined for an object that is
 * no error: what a handler ended with is in the status already.
 */
export function recordedError(cause: unknown, scrub: CredentialScrubber): Error | { message: string } | undefined {
  try {
    if (isError(cause)) return new ErrorCopier(scrub).copy(cause, 0)
    if (cause === undefined || typeof cause === 'object') return undefined
    return { message: cleanText(scrub(String(cause)), LONGEST_MESSAGE) }
  } catch {
    // A proxy, or a getter that throws.
    return { message: '[unreadable]' }
  }
}

export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

class ErrorCopier {
  readonly #scrub: CredentialScrubber
  readonly #discretion: Discretion
  readonly #above = new Set<Error>()
  #errors = 0

  constructor(scrub: CredentialScrubber) {
    this.#scrub = scrub
    this.#discretion = { scrub, hides: isCredentialName }
  }

  copy(error: Error, depth: number): Error {
    const message = asText(read(error, 'message'))
    const copy = new Error(this.#text(message, LONGEST_MESSAGE))
    this.#errors++
    this.#above.add(error)
    hide(copy, 'name', this.#text(asText(read(error, 'name')) || 'Error', LONGEST_NAME))
    hide(copy, 'stack', this.#stack(read(error, 'stack'), message))
    // What pino takes for the type.
    const type = read(error, 'constructor')
    if (typeof type === 'function') hide(copy, 'constructor', type)
    const code = read(error, 'code')
    if (code !== undefined) Object.assign(copy, { code: this.#plain(code) })
    this.#addExtras(copy, error, depth)
    const cause = read(error, 'cause')
    if (cause !== undefined) hide(copy, 'cause', this.#inner(cause, depth))
    const errors = read(error, 'errors')
    if (Array.isArray(errors)) hide(copy, 'errors', this.#each(errors, depth))
    this.#above.delete(error)
    return copy
  }

  #each(errors: readonly unknown[], depth: number): unknown[] {
    const copies: unknown[] = []
    for (const error of errors) {
      if (this.#errors >= MOST_ERRORS) {
        copies.push('[truncated]')
        break
      }
      copies.push(this.#inner(error, depth))
    }
    return copies
  }

  #inner(value: unknown, depth: number): unknown {
    if (!isError(value)) return this.#plain(value)
    if (this.#above.has(value)) return '[circular]'
    if (depth + 1 >= DEEPEST || this.#errors >= MOST_ERRORS) return '[truncated]'
    return this.copy(value, depth + 1)
  }

  #addExtras(copy: Error, error: Error, depth: number): void {
    const extras: Record<string, unknown> = {}
    for (const name of Object.keys(error)) {
      if (OWN.has(name)) continue
      const value = read(error, name)
      if (isError(value) && !isCredentialName(name)) hide(copy, name, this.#inner(value, depth), true)
      else extras[name] = plain(value)
    }
    const shown = this.#plain(extras)
    if (typeof shown !== 'object' || shown === null) return
    for (const [name, value] of Object.entries(shown)) if (!Object.hasOwn(copy, name)) hide(copy, name, value, true)
  }

  #plain(value: unknown): unknown {
    return excerpt(value, LARGEST_EXTRAS, [], this.#discretion).content
  }

  #text(text: string, maxLength: number): string {
    return cleanText(this.#scrub(text), maxLength)
  }

  /** The lines of a stack stay lines, but a message makes none. */
  #stack(stack: unknown, message: string): string | undefined {
    if (typeof stack !== 'string') return undefined
    const at = stack.indexOf(message)
    const headless = at < 0 || at > LONGEST_NAME
    const end = headless ? stack.length - (LAST_LINES.exec(stack)?.[0].length ?? 0) : at + message.length
    const [first = '', ...lines] = this.#scrub(stack.slice(end)).split('\n')
    let shown = this.#text(stack.slice(0, end), LONGEST_MESSAGE) + cleanText(first, LONGEST_MESSAGE)
    for (const line of lines) {
      if (shown.length > LONGEST_STACK) return `${shown.slice(0, LONGEST_STACK)}…`
      shown += (LINE.test(line) ? '\n' : '\\u000a') + cleanText(line, LONGEST_MESSAGE)
    }
    return shown
  }
}

/** What is copied by itself. */
const OWN = new Set(['name', 'message', 'stack', 'constructor', 'code', 'cause', 'errors'])

/** Frames, and what grpc-js writes between those of the wire and those of the application. */
const LINE = /^(?: {4}at .*|for call at)$/
const LAST_LINES = /(?:\n(?: {4}at [^\n]*|for call at))+$/

function read(error: Error, name: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Metadata, URLs and their like say themselves what they are as plain data. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value
  try {
    const { toJSON } = value as { toJSON?: unknown }
    return typeof toJSON === 'function' ? toJSON.call(value) : value
  } catch {
    return '[unreadable]'
  }
}

function hide(copy: Error, name: string, value: unknown, enumerable = false): void {
  Object.defineProperty(copy, name, { value, enumerable, configurable: true, writable: true })
}
