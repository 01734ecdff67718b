export {
  LONGEST_TIMEOUT_MS,
  type MonotonicClock,
  type MonotonicTime,
  monotonicClock,
  monotonicTime,
  systemMonotonicClock,
  systemWallClock,
  type Timers,
  type WallClock,
  wallClock,
} from './authoring/clock.ts'
export { type Containment, type ContainOptions, contain } from './authoring/contain.ts'
export { inThisContext } from './authoring/in-this-context.ts'
export { Listeners } from './authoring/listeners.ts'
export { LruMap } from './authoring/lru-map.ts'
export {
  type Observation,
  type ObserveOptions,
  type Observer,
  type ObserverPlace,
  observe,
} from './authoring/observe.ts'
export { recordOf } from './authoring/observe-record.ts'
export { type CallSpan, isTraced, spanOf, tellSpan } from './authoring/observe-span.ts'
export { discreet, invalidOption, kindOf, quoted, type ShowValue } from './authoring/option-error.ts'
export { OptionKind, type OptionPlace, type OptionSettings, type ParseOption } from './authoring/option-kind.ts'
export {
  accepts,
  anything,
  bytes,
  flag,
  func,
  integer,
  listOf,
  matcher,
  milliseconds,
  type NumberRange,
  number,
  objectWith,
  oneOf,
  text,
} from './authoring/option-kinds.ts'
export {
  group,
  type OptionsOf,
  type OptionTable,
  type ReadOptionsSettings,
  readOptions,
  readValue,
} from './authoring/option-table.ts'
export { perMethod } from './authoring/per-method.ts'
export { runShared } from './authoring/shared-work.ts'
export { sleep } from './authoring/sleep.ts'
export { factory } from './compose/factory.ts'
export { type NamedSettings, named } from './compose/named.ts'
export { checkMatchers, type Matchers, withMatchers } from './compose/namings.ts'
export type { CallRecord, MessageBytes } from './contract/call-record.ts'
export {
  type CredentialScrubber,
  credentialScrubber,
  isCredentialName,
  rememberCredentials,
} from './contract/credential-text.ts'
export { isThenable } from './runtime/thenable.ts'
