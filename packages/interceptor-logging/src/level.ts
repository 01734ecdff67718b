import { status as Code } from '@grpc/grpc-js'
import type { Call, Status } from '@grpc-stack/grpc-core'
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

/**
 * A table as a rule; a rule is itself.
 * @throws TypeError for a code or a level that does not exist.
 */
export function compileLevels(given: LevelTable | LevelRule | undefined): LevelRule | undefined {
  if (given === undefined || typeof given === 'function') return given
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`logging: option "levels" must be a table or a function, got ${String(given)}`)
  }
  for (const [name, level] of Object.entries(given)) {
    if (!codeNames.includes(name as CodeName)) {
      throw new TypeError(`logging: option "levels" has no code "${name}"; codes are ${codeNames.join(', ')}`)
    }
    if (!isLevel(level)) {
      throw new TypeError(
        `logging: option "levels.${name}" must be one of ${levels.join(', ')}, silent, got ${String(level)}`,
      )
    }
  }
  const table = { ...given }
  return (status) => table[Code[status.code] as CodeName]
}

export function isLevel(value: unknown): value is Level | 'silent' {
  return value === 'silent' || levels.includes(value as Level)
}
