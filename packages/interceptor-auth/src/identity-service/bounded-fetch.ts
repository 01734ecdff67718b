import type { WallClock } from '@grpc-stack/grpc-core/authoring'
import { accepts, func, type OptionKind } from '@grpc-stack/grpc-core/authoring'
import { VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { summaryOf } from './failure-summary.ts'

/** The part of the standard `fetch` that is used, so that another one can be given: with a proxy, or certificates. */
export type Fetch = (url: string, init: RequestInit & { signal: AbortSignal }) => Promise<Response>

/** Read further by `endpointUrl`. */
export const url: OptionKind<string | URL> = accepts(
  'an absolute URL',
  (value): value is string | URL => typeof value === 'string' || value instanceof URL,
)

export const fetchOption: OptionKind<Fetch> = func<Fetch>().default((target, init) => fetch(target, init))

export interface FetchBounds {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly clock: WallClock
  readonly fetch: Fetch
  /** Aborts the request before its time. */
  readonly signal?: AbortSignal
}

/** An answer that was read in full, and in time. */
export interface JsonAnswer {
  readonly status: number
  readonly headers: Headers
  /** Undefined when the body is no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/**
 * Makes a request to an identity provider and reads the answer, bounded in time and size, also where `fetch` or the body of
 * its answer ignores the signal. Redirects are not followed: they would carry credentials to wherever they point.
 * @throws VerifierUnavailableError without a cause and without a text of `fetch`, which may quote what was sent; or the
 * reason of the given signal
 */
export async function fetchJson(url: string, init: RequestInit, bounds: FetchBounds): Promise<JsonAnswer> {
  const { clock, timeoutMs, maxBytes, fetch, signal } = bounds
  signal?.throwIfAborted()
  const controller = new AbortController()
  const ended = aborted(controller.signal)
  const abort = (): void => controller.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  const timer = clock.setTimeout(
    () => controller.abort(new VerifierUnavailableError(`no answer from ${shownUrl(url)} within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    const answer = ask(url, { redirect: 'error', ...init, signal: controller.signal }, fetch, maxBytes)
    return await Promise.race([answer, ended])
  } catch (error) {
    // What undici throws for an aborted request hides the reason on some versions of Node.
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    clock.clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
    // Ends a body that was not read to its end.
    controller.abort()
  }
}

async function ask(
  url: string,
  init: RequestInit & { signal: AbortSignal },
  fetch: Fetch,
  maxBytes: number,
): Promise<JsonAnswer> {
  try {
    const response = await fetch(url, init)
    const text = await readAtMost(response, maxBytes, init.signal)
    return { status: response.status, headers: response.headers, body: jsonObject(text) }
  } catch (error) {
    const why = error instanceof TooLarge ? `its answer is larger than ${maxBytes} bytes` : summaryOf(error)
    throw new VerifierUnavailableError(`${shownUrl(url)} could not be asked: ${why}`)
  }
}

/** Rejects when the signal aborts; never noticed if no one waits any more. */
function aborted(signal: AbortSignal): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  ended.catch(() => undefined)
  return ended
}

class TooLarge extends Error {}

async function readAtMost({ body }: Response, maxBytes: number, signal: AbortSignal): Promise<string> {
  if (body === null) return ''
  // Some implementations of fetch have a stream of Node's here.
  const reader = (typeof body.getReader === 'function' ? body : bytesOf(body)).getReader()
  const cancel = (): void => void reader.cancel().catch(() => undefined)
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return Buffer.concat(chunks).toString('utf8')
    if (!(value instanceof Uint8Array)) throw new TypeError('a body of something else than bytes')
    size += value.byteLength
    if (size > maxBytes) throw new TooLarge()
    chunks.push(value)
  }
}

function bytesOf(body: unknown): ReadableStream<Uint8Array> {
  return ReadableStream.from(body as AsyncIterable<Uint8Array>) // throws for anything that cannot be iterated
}

function jsonObject(text: string): JsonAnswer['body'] {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {}
  return undefined
}

/**
 * The address of an identity provider's endpoint.
 * @throws TypeError, without printing the address, if it holds a user or password; and unless it is https, or http to this machine, or `allowInsecure` is given: keys and tokens that anyone
 * on the path can replace or read are none.
 */
export function endpointUrl(where: string, name: string, given: string | URL, allowInsecure: boolean): string {
  let url: URL
  try {
    url = new URL(given)
  } catch {
    throw new TypeError(`${where}: option "${name}" must be an absolute URL`)
  }
  if (url.username !== '' || url.password !== '') {
    // Not printed. It would end up in every message about the address, and `fetch` takes no such URL.
    throw new TypeError(
      `${where}: option "${name}" must be a URL without a user or password; send credentials in a header, or as the client's`,
    )
  }
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (local || allowInsecure))) {
    throw new TypeError(
      `${where}: option "${name}" must be an https URL, got ${url.protocol}//${url.host}; http is for this machine, or with allowInsecure`,
    )
  }
  return url.href
}

/** An address for messages: its query may hold a key. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}
