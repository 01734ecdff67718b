import type { AsyncResource } from 'node:async_hooks'
import type { Metadata } from '@grpc/grpc-js'
import type { AttemptTap, CallAttempt, MessageTap, MetadataTap, StatusTap } from '../contract/call.ts'
import { isMetadata } from '../contract/given-status.ts'
import type { Status } from '../contract/status.ts'
import { captureScope } from '../runtime/async-scope.ts'
import { show } from '../runtime/show.ts'
import { synchronous } from '../runtime/thenable.ts'
import { type AttemptEnd, showAttempt, warnOfTap } from './attempt-taps.ts'

/** A tap, the index of the interceptor that registered it, and the tap that hears after it. */
interface Tap<T> {
  readonly depth: number
  readonly tap: T
  next: Tap<T> | undefined
}

interface Counting {
  counted(status: Status, index: number): Status
}

/** In the order in which they hear. A list, because an array that grows has room for 17 from its second element on. */
type Taps<T> = Tap<T> | undefined

type Hook = 'onRequest' | 'onResponse' | 'onResponseMetadata' | 'onStatus'

/**
 * What interceptors want to see pass. Outgoing things (requests) pass the outermost interceptor's tap first, incoming ones
 * (responses, the status) the innermost's. A call makes one of these when the first tap is registered.
 *
 * A tap runs in the asynchronous context in which its interceptor called `next()`, where an `await next()` would go on.
 */
export class CallTaps {
  #request: Taps<MessageTap>
  #response: Taps<MessageTap>
  #metadata: Taps<MetadataTap>
  #status: Taps<StatusTap>
  #attempt: Taps<AttemptTap>
  /** By the index of an interceptor: where it called `next()`. */
  readonly #scopes: (AsyncResource | undefined)[]
  /** Index of the interceptor that registered a tap last. */
  #latest = -1
  /** The hook whose tap was called last: if it has thrown, that one. */
  running: Hook | undefined

  /** @param layers how many interceptors there are */
  constructor(layers: number) {
    this.#scopes = new Array<AsyncResource | undefined>(layers)
  }

  addRequest(depth: number, tap: MessageTap): void {
    this.#request = outermostFirst(this.#request, depth, tap, 'onRequest')
    this.#latest = depth
  }

  addResponse(depth: number, tap: MessageTap): void {
    this.#response = innermostFirst(this.#response, depth, tap, 'onResponse')
    this.#latest = depth
  }

  addMetadata(depth: number, tap: MetadataTap): void {
    this.#metadata = innermostFirst(this.#metadata, depth, tap, 'onResponseMetadata')
    this.#latest = depth
  }

  addStatus(depth: number, tap: StatusTap): void {
    this.#status = innermostFirst(this.#status, depth, tap, 'onStatus')
    this.#latest = depth
  }

  addAttempt(depth: number, tap: AttemptTap): void {
    this.#attempt = outermostFirst(this.#attempt, depth, tap, 'onAttempt')
    this.#latest = depth
  }

  /** The interceptor at this index calls `next()`, with all its taps registered. */
  proceeds(index: number): void {
    if (this.#latest === index || this.#scopes[index] !== undefined) this.#scopes[index] = captureScope()
  }

  /** Shows an attempt to the taps, outermost first. Returns the ends to tell with those that these taps want to be told. */
  attempt(attempt: CallAttempt, ends: AttemptEnd[] | undefined): AttemptEnd[] | undefined {
    let all = ends
    // One that is added meanwhile hears of the next attempt.
    const last = lastOf(this.#attempt)
    for (let entry = this.#attempt; entry !== undefined; entry = entry === last ? undefined : entry.next) {
      const end = showAttempt(attempt, entry.tap, this.#scopes[entry.depth])
      if (end === undefined) continue
      // Not into an empty array: its first push makes room for 17, which is 150 bytes for each call.
      if (all === undefined) all = [end]
      else all.push(end)
    }
    return all
  }

  get seeRequests(): boolean {
    return this.#request !== undefined
  }

  get seeResponses(): boolean {
    return this.#response !== undefined
  }

  get seeAttempts(): boolean {
    return this.#attempt !== undefined
  }

  get seeMetadata(): boolean {
    return this.#metadata !== undefined
  }

  /** There is a tap that has not heard the status yet. */
  get awaitStatus(): boolean {
    return this.#status !== undefined
  }

  /** A request message after the taps of interceptors deeper than one index and up to another. */
  request(
    message: unknown,
    deeperThan: number = Number.NEGATIVE_INFINITY,
    upTo: number = Number.POSITIVE_INFINITY,
  ): unknown {
    let seen = message
    for (let entry = this.#request; entry !== undefined; entry = entry.next) {
      const { depth, tap } = entry
      if (depth > deeperThan && depth <= upTo) seen = this.#call('onRequest', depth, tap, seen) ?? seen
    }
    return seen
  }

  /** A response message after the taps of interceptors outside an index. */
  response(message: unknown, shallowerThan: number = Number.POSITIVE_INFINITY): unknown {
    let seen = message
    for (let entry = this.#response; entry !== undefined; entry = entry.next) {
      if (entry.depth < shallowerThan) seen = this.#call('onResponse', entry.depth, entry.tap, seen) ?? seen
    }
    return seen
  }

  metadata(metadata: Metadata): Metadata {
    let seen = metadata
    for (let entry = this.#metadata; entry !== undefined; entry = entry.next) {
      const given: unknown = this.#call('onResponseMetadata', entry.depth, entry.tap, seen) ?? seen
      if (!isMetadata(given)) {
        throw new TypeError(`onResponseMetadata must return a grpc-js Metadata or nothing, and returned ${show(given)}`)
      }
      seen = given
    }
    return seen
  }

  /**
   * Tells a status to the interceptors from one index inwards to before another, each once. An observer that throws changes
   * nothing for the RPC: it is reported as a process warning.
   * @param call knows how many attempts each of them is to see
   */
  status(status: Status, from: number, before: number, call: Counting): void {
    for (let entry = this.#status; entry !== undefined; entry = entry.next) {
      if (entry.depth < from || entry.depth >= before) continue
      this.#status = without(this.#status, entry)
      try {
        this.#call('onStatus', entry.depth, entry.tap, call.counted(status, entry.depth))
      } catch (error) {
        warnOfTap('onStatus', error)
      }
    }
  }

  #call<A, B>(hook: Hook, depth: number, tap: (subject: A) => B, subject: A): B {
    this.running = hook
    const scope = this.#scopes[depth]
    return synchronous(scope === undefined ? tap(subject) : scope.runInAsyncScope(tap, undefined, subject), hook)
  }

  /** Forgets the taps of interceptors deeper than an index: they go with the attempt they were made for. */
  dropDeeperThan(depth: number): void {
    this.#request = upTo(this.#request, depth)
    this.#response = upTo(this.#response, depth)
    this.#metadata = upTo(this.#metadata, depth)
    this.#status = upTo(this.#status, depth)
    this.#attempt = upTo(this.#attempt, depth)
    this.#scopes.fill(undefined, depth + 1)
  }
}

function outermostFirst<T>(taps: Taps<T>, depth: number, tap: T, name: string): Tap<T> {
  const last = lastOf(taps)
  const added = innermostFirst(undefined, depth, tap, name)
  if (last !== undefined) last.next = added
  return taps ?? added
}

function innermostFirst<T>(taps: Taps<T>, depth: number, tap: T, name: string): Tap<T> {
  if (typeof tap !== 'function') throw new TypeError(`${name}: a tap must be a function, got ${show(tap)}`)
  return { depth, tap, next: taps }
}

function lastOf<T>(taps: Taps<T>): Taps<T> {
  let last = taps
  while (last?.next !== undefined) last = last.next
  return last
}

// Not by recursion: an interceptor may add a tap for each of many messages.
function without<T>(taps: Taps<T>, gone: Tap<T>): Taps<T> {
  if (taps === gone) return gone.next
  let entry = taps
  while (entry !== undefined && entry.next !== gone) entry = entry.next
  if (entry !== undefined) entry.next = gone.next
  return taps
}

/** Without those of interceptors deeper than an index. */
function upTo<T>(taps: Taps<T>, depth: number): Taps<T> {
  let first = taps
  while (first !== undefined && first.depth > depth) first = first.next
  for (let entry = first; entry !== undefined; ) {
    const { next } = entry
    if (next !== undefined && next.depth > depth) entry.next = next.next
    else entry = next
  }
  return first
}
