import { status as Code } from '@grpc/grpc-js'
import type { Call, Status } from '@grpc-stack/grpc-core'
import { group, OptionKind, type OptionTable, oneOf } from '@grpc-stack/grpc-core/authoring'
import { type Level, levels } from './logger.ts'

/** `OK`, `NOT_FOUND`, …: the names of grpc-js's `status`. */
export type CodeName = keyof typeof Code

/** Levels per code; a code that is not in it has its default. `silent`: no record. */
export type LevelTable = Readonly<Partial<Record<CodeName, Level | 'silent'>>>

/** The level of an RPC that ended like this, or undefined for the default. */
export type LevelRule = (status: Status, call: Call) => Level | 'silent' | undefined

/**
 * How serious an ending is to a server, after go-grpc-middleware's `DefaultServerCodeToLevel`: a caller's mistake is
 * everyday life (`info`), what an operator may want to look into is `warn`, what is broken is `error`.
 */
export const serverLevels: Readonly<Record<CodeName, Level>> = Object.freeze({
  OK: 'info',
  CANCELLED: 'info',
  INVALID_ARGUMENT: 'info',
  NOT_FOUND: 'info',
  ALREADY_EXISTS: 'info',
  UNAUTHENTICATED: 'info',
  DEADLINE_EXCEEDED: 'warn',
  PERMISSION_DENIED: 'warn',
  RESOURCE_EXHAUSTED: 'warn',
  FAILED_PRECONDITION: 'warn',
  ABORTED: 'warn',
  OUT_OF_RANGE: 'warn',
  UNAVAILABLE: 'warn',
  UNKNOWN: 'error',
  UNIMPLEMENTED: 'error',
  INTERNAL: 'error',
  DATA_LOSS: 'error',
})

/**
 * How serious an ending is to a client, after go-grpc-middleware's `DefaultClientCodeToLevel`. Lower than on the server:
 * the application sees the error and decides what it means.
 */
export const clientLevels: Readonly<Record<CodeName, Level>> = Object.freeze({
  OK: 'debug',
  CANCELLED: 'debug',
  INVALID_ARGUMENT: 'debug',
  NOT_FOUND: 'debug',
  ALREADY_EXISTS: 'debug',
  RESOURCE_EXHAUSTED: 'debug',
  FAILED_PRECONDITION: 'debug',
  ABORTED: 'debug',
  OUT_OF_RANGE: 'debug',
  UNKNOWN: 'info',
  DEADLINE_EXCEEDED: 'info',
  PERMISSION_DENIED: 'info',
  UNAUTHENTICATED: 'info',
  UNIMPLEMENTED: 'warn',
  INTERNAL: 'warn',
  UNAVAILABLE: 'warn',
  DATA_LOSS: 'warn',
})

const codeNames = Object.keys(Code).filter((name) => Number.isNaN(Number(name))) as readonly CodeName[]

/** The level by the defaults of a side. For a code gRPC does not know: as in go-grpc-middleware. */
export function defaultLevel(side: 'client' | 'server', code: Code): Level {
  const name = Code[code] as CodeName | undefined
  if (name === undefined) return side === 'server' ? 'error' : 'info'
  return (side === 'server' ? serverLevels : clientLevels)[name]
}

/** Levels by code, or a rule. */
export const levelsOption: OptionKind<LevelRule> = new OptionKind<LevelRule>(
  ['a table or a function'],
  (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
  (given: LevelTable | LevelRule, place) => (typeof given === 'function' ? given : ruleOf(TABLE.read(given, place))),
)

const TABLE = group(
  Object.fromEntries(codeNames.map((name) => [name, oneOf(...levels, 'silent').optional()])) satisfies OptionTable,
)

function ruleOf(table: LevelTable): LevelRule {
  return (status) => table[Code[status.code] as CodeName]
}

export function isLevel(value: unknown): value is Level | 'silent' {
  return value === 'silent' || levels.includes(value as Level)
}
