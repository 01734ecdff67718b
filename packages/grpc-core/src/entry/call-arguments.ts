import { isMetadata } from '../contract/given-status.ts'
import { endAfter, toEpochMs } from '../runtime/deadline.ts'
import { isOptionsObject } from '../runtime/options-object.ts'
import { show } from '../runtime/show.ts'
import type { ClientCallOptions } from './client-types.ts'

/** What each option of a call must be. */
const OPTIONS: Readonly<Record<string, { readonly must: string; test(value: unknown): boolean }>> = {
  metadata: { must: 'be a grpc-js Metadata', test: isMetadata },
  timeoutMs: { must: 'be a number of milliseconds', test: isNumber },
  deadline: { must: 'be a Date or epoch milliseconds', test: isTime },
  signal: { must: 'be an AbortSignal', test: isSignal },
  interceptors: { must: 'be a list', test: Array.isArray },
  // grpc-js: CallOptions
  host: { must: 'be a text that is not empty', test: (value) => typeof value === 'string' && value !== '' },
  parent: { must: 'be a server call', test: isServerCall },
  propagate_flags: { must: 'be flags of grpc-js, such as propagate.DEADLINE', test: Number.isInteger },
  credentials: { must: 'be call credentials of grpc-js', test: isCallCredentials },
}

/**
 * A stock stub takes metadata and a callback in places of their own: what is meant for one must not get lost here. A value that
 * grpc-js would trip over when the call is under way, where no caller could catch the error, is refused at the call.
 * @throws TypeError naming what is wrong.
 */
export function checkArguments(path: string, options: ClientCallOptions, more: readonly unknown[]): void {
  if (isMetadata(options)) throw new TypeError(`${path}: pass metadata as an option: { metadata }`)
  if (typeof options === 'function' || more.some((argument) => typeof argument === 'function')) {
    throw new TypeError(`${path}: takes no callback: await the call, or iterate it where responses stream`)
  }
  if (more.length > 0) throw new TypeError(`${path}: takes a request and options, got ${2 + more.length} arguments`)
  const refusal = () => `${path}: options must be an object such as { timeoutMs: 500 }, got ${show(options)}`
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw new TypeError(refusal())
  // Inherited ones too: those of an AbortSignal in the place of options, or of an object made from defaults.
  for (const name in options) {
    if (!Object.hasOwn(OPTIONS, name)) {
      const hint = name === 'timeout' ? ', did you mean "timeoutMs"?' : '.'
      throw new TypeError(`${path}: unknown option "${name}"${hint} Known are ${Object.keys(OPTIONS).join(', ')}`)
    }
    const known = OPTIONS[name]
    const value = options[name as keyof ClientCallOptions]
    if (known === undefined || value === undefined || known.test(value)) continue
    throw new TypeError(`${path}: option "${name}" must ${known.must}, got ${show(value)}`)
  }
  // A Date or a promise has no names to tell of.
  if (!isOptionsObject(options)) throw new TypeError(refusal())
}

/** When a call ends by its options, in epoch milliseconds: the earlier of the two. */
export function endOf(timeoutMs: number | undefined, deadline: Date | number | undefined): number {
  return Math.min(toEpochMs(deadline), endAfter(timeoutMs))
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && !Number.isNaN(value)
}

function isTime(value: unknown): boolean {
  return isNumber(value instanceof Date ? value.getTime() : value)
}

/** By what grpc-js reads of one (resolving-call.ts). */
function isServerCall(value: unknown): boolean {
  const call = value as { on?: unknown; getDeadline?: unknown } | null
  return typeof call?.on === 'function' && typeof call.getDeadline === 'function'
}

/** By shape: a polyfill's is as good, and so is one of another realm. */
function isSignal(value: unknown): boolean {
  const signal = value as Partial<AbortSignal> | null
  return typeof signal?.addEventListener === 'function' && typeof signal.aborted === 'boolean'
}

function isCallCredentials(value: unknown): boolean {
  const credentials = value as { compose?: unknown; generateMetadata?: unknown } | null
  return typeof credentials?.generateMetadata === 'function' && typeof credentials.compose === 'function'
}
