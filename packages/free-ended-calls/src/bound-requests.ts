import { AsyncResource } from 'node:async_hooks'
import type { Parts } from './freeing-status.ts'

// Node (lib/internal/http2/core.js, ClientHttp2Session.request, 20 to 26) binds a function to an AsyncResource for each request.
// `bind` defines properties on it, for which V8 makes a hidden class for each: those are old from the start and lead to the
// function, and so to the stream.

/** Requests that are being made at this moment. Nested ones come from subscribers of Node's diagnostics channels. */
let requests = 0
/** Functions bound for requests so far. */
let bound = 0

/** Replaces `AsyncResource.prototype.bind` by one that differs only for what Node binds while a request is made. */
export function installBind(parts: Parts): void {
  const property = Object.getOwnPropertyDescriptor(AsyncResource.prototype, 'bind')
  const original: unknown = property?.value
  if (typeof original !== 'function' || !property?.writable || !isNodeBind(original)) {
    parts.unknown('boundRequests', 'AsyncResource.prototype.bind is not the one of Node')
    return
  }
  function bind(this: AsyncResource, fn: (...args: unknown[]) => unknown, thisArg?: unknown): unknown {
    if (requests === 0 || fn?.name !== FOR_A_REQUEST) return Reflect.apply(original as typeof bind, this, [fn, thisArg])
    bound++
    return (...args: unknown[]) => this.runInAsyncScope(fn, undefined, ...args)
  }
  Object.defineProperty(AsyncResource.prototype, 'bind', { ...property, value: bind })
  parts.waiting('boundRequests')
}

/** What Node binds for a request: `requestOnConnect.bind(…)`, which has its `this` and all of its arguments. */
const FOR_A_REQUEST = 'bound requestOnConnect'

/** Another library may have put its own in place, which does more than this package knows. */
function isNodeBind(fn: object): boolean {
  const text = Function.prototype.toString.call(fn)
  return text.startsWith('bind(fn, thisArg)') && text.includes('runInAsyncScope')
}

interface ClientSession {
  request(...args: unknown[]): unknown
}

/** Has the requests of one session bound in the cheap way. */
export function bindRequestsOf(session: ClientSession, parts: Parts): void {
  const original = session.request
  let known = false
  function request(this: ClientSession, ...args: unknown[]): unknown {
    const before = bound
    requests++
    try {
      return Reflect.apply(original, this, args)
    } finally {
      requests--
      if (!known) {
        known = true
        if (bound > before) parts.active('boundRequests')
        else parts.unknown('boundRequests', 'an HTTP/2 request binds nothing that is known')
      }
    }
  }
  Object.defineProperty(session, 'request', { value: request, writable: true, configurable: true })
}
