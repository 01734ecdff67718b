import type { Clock } from './clock.ts'
import { VerifierUnavailableError } from './verifier-errors.ts'

/** The part of the standard `fetch` that is used, so that another one can be given: with a proxy, or certificates. */
export type Fetch = (url: string, init: RequestInit & { signal: AbortSignal }) => Promise<Response>

export interface FetchBounds {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly clock: Clock
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
 * Makes a request to an identity provider and reads the answer, bounded in time and size. Redirects are not followed:
 * they would carry credentials to wherever they point.
 * @throws whatever went wrong, a network error as `fetch` gives it
 */
export async function fetchJson(url: string, init: RequestInit, bounds: FetchBounds): Promise<JsonAnswer> {
  const { clock, timeoutMs, maxBytes, fetch, signal } = bounds
  const controller = new AbortController()
  const abort = (): void => controller.abort(signal?.reason)
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  const timer = clock.setTimeout(
    () => controller.abort(new VerifierUnavailableError(`no answer from ${url} within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    const response = await fetch(url, { redirect: 'error', ...init, signal: controller.signal })
    const text = await readAtMost(response, maxBytes, url)
    return { status: response.status, headers: response.headers, body: jsonObject(text) }
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

async function readAtMost(response: Response, maxBytes: number, url: string): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBytes) throw new VerifierUnavailableError(`the answer from ${url} is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
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
 * @throws TypeError unless it is https, or http to this machine, or `allowInsecure` is given: keys and tokens that anyone
 * on the path can replace or read are none.
 */
export function endpointUrl(where: string, name: string, given: string | URL, allowInsecure: boolean): string {
  let url: URL
  try {
    url = new URL(given)
  } catch {
    throw new TypeError(`${where}: option "${name}" must be an absolute URL`)
  }
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (local || allowInsecure))) {
    throw new TypeError(
      `${where}: option "${name}" must be an https URL, got ${url.protocol}//${url.host}; http is for this machine, or with allowInsecure`,
    )
  }
  return url.href
}
