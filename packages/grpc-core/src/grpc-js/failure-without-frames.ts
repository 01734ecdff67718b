import {
  type ChannelInterface,
  Client,
  status as Code,
  credentials,
  type InterceptingCall,
  type InterceptingListener,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js'

type StatusListener = InterceptingListener['onReceiveStatus']

/**
 * For a call that failed, a stub makes two errors and formats the stack of one (grpc-js: call.ts, 1.14, `callErrorFromStatus`), which is
 * most of what a failure costs a client, and shows frames of grpc-js and of this package alone. The frames of the caller are taken when the
 * call starts, and are not touched here.
 *
 * So `Error.stackTraceLimit` is 0 from here on while a stub makes these errors, and back before its callback runs. For other listeners, such
 * as those of interceptors of grpc-js, it stays as it is; for those of response streams too, whose stubs emit events before they make
 * the error.
 *
 * @returns what to call once the listener has been told, if anything
 */
export function leaveFramesOut(listener: StatusListener, status: StatusObject): (() => void) | false {
  return status.code !== Code.OK && textOf(listener) === stubText() && limitUntilCopied(status)
}

/**
 * No frames in errors until the members of a status are copied into one. Returns what sets the limit back where that has not happened,
 * or false if nothing was changed.
 */
function limitUntilCopied(status: StatusObject): (() => void) | false {
  const { stackTraceLimit } = Error
  const own = Object.getOwnPropertyDescriptor(status, 'metadata')
  if (!(stackTraceLimit > 0) || own?.value === undefined) return false
  let limited = true
  const back = (): void => {
    if (!limited) return
    limited = false
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
    Object.defineProperty(status, 'metadata', own)
  }
  const get = (): Metadata => {
    back()
    return own.value
  }
  if (!Reflect.defineProperty(status, 'metadata', { get, enumerable: true, configurable: true })) return false
  Reflect.set(Error, 'stackTraceLimit', 0)
  return back
}

function textOf(listener: StatusListener): string {
  return Function.prototype.toString.call(listener)
}

let tried: { readonly text: string | undefined } | undefined

/** The text of what a stub hears the status by. Undefined if the grpc-js at hand makes the error of a call in another way. */
function stubText(): string | undefined {
  tried ??= { text: tryStub() }
  return tried.text
}

/** Whether an error without frames has the properties of one with frames. On JavaScriptCore it has not. */
function framesAreAllThatIsMissing(): boolean {
  const { stackTraceLimit } = Error
  const keys = (limit: number): string => {
    Error.stackTraceLimit = limit
    return Reflect.ownKeys(new Error('none')).map(String).sort().join()
  }
  try {
    return keys(1) === keys(0)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Fails a call that goes nowhere, and looks from its callback whether the limit is back. */
function tryStub(): string | undefined {
  try {
    if (!framesAreAllThatIsMissing()) return undefined
    let listener: Partial<InterceptingListener> = {}
    const call = {
      start: (_metadata: Metadata, given: Partial<InterceptingListener>) => {
        listener = given
      },
      sendMessage: () => undefined,
      halfClose: () => undefined,
    }
    const stub = new Client('localhost', credentials.createInsecure(), {
      channelOverride: {} as ChannelInterface, // no interceptor asks for it
      interceptors: [() => call as unknown as InterceptingCall], // grpc-js uses only these members
    })
    const limit = Error.stackTraceLimit
    let seen: number | undefined
    const codec = (): never => {
      throw new Error('nothing is sent')
    }
    stub.makeUnaryRequest('/none/None', codec, codec, undefined, () => {
      seen = Error.stackTraceLimit
    })
    const { onReceiveStatus } = listener
    const status = { code: Code.UNKNOWN, details: 'none', metadata: new Metadata() }
    const back = limitUntilCopied(status)
    if (onReceiveStatus === undefined || !back) return undefined
    onReceiveStatus.call(listener, status)
    back()
    return seen === limit ? textOf(onReceiveStatus) : undefined
  } catch {
    return undefined
  }
}
