import type { MethodInfo, Pattern } from '@grpc-stack/grpc-core'
import type { Containment } from '@grpc-stack/grpc-core/authoring'
import { cleanText } from './clean-text.ts'
import type { FailurePlace, LoggingSettings, PayloadSettings } from './options.ts'

/** The kinds of RPC as go-grpc-middleware and its dashboards call them. */
export const methodTypes: Readonly<Record<Pattern, string>> = Object.freeze({
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
  unknown: 'unknown',
})

/** How the calls of one method are logged: all that is the same for each of them. */
export interface MethodPlan {
  readonly settings: LoggingSettings
  readonly contained: Containment<FailurePlace>
  readonly service: string
  readonly method: string
  readonly type: string
  /** Set if messages of this method are logged. */
  readonly payload: PayloadSettings | undefined
}

const LONGEST_NAME = 256

export function planOf(
  settings: LoggingSettings,
  contained: Containment<FailurePlace>,
  method: MethodInfo,
): MethodPlan {
  const { payload } = settings
  const covered = payload && contained.run('payload', () => payload.methods(method)) ? payload : undefined
  return {
    settings,
    contained,
    service: cleanText(method.service, LONGEST_NAME),
    method: cleanText(method.name, LONGEST_NAME),
    type: methodTypes[method.pattern],
    payload: covered,
  }
}
