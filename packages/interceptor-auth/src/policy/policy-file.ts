import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import {
  contain,
  func,
  type MonotonicClock,
  milliseconds,
  monotonicClock,
  type OptionTable,
  readOptions,
  readValue,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { type Policy, type PolicyTable, policy, type Texts } from './policy.ts'
import { policyFromJson } from './policy-json.ts'
import { listedPatterns } from './policy-match.ts'

/** Options of `policyFile`. */
export interface PolicyFileOptions {
  /**
   * How long after one look at the file the next is, in milliseconds. Default: 60 000, so that a policy that is replaced on disk is in
   * force within a minute, as a token of `tokenFile` is. `Infinity`: by `reload()` only.
   */
  readonly everyMs?: number
  /** As in `policyFromJson`: the authenticators whose principals the allow rules mean. Default: any. */
  readonly authenticators?: Texts
  /**
   * Told once of each change of the file, whether it is in force or refused. Default: a process warning for each that is refused.
   * What it throws changes nothing; the process warns once.
   */
  readonly onChange?: (change: PolicyChange) => void
  /** Default: monotonic time. */
  readonly clock?: MonotonicClock
}

/** What became of a change of the file. */
export interface PolicyChange {
  readonly path: string
  /** Why the last good policy is still in force. Undefined if the file now is. */
  readonly error: Error | undefined
}

/** What `policyFile` returns: a policy that follows a file. */
export interface PolicyFile extends Policy {
  /** Reads the file now, such as on SIGHUP. Resolves when it is in force or refused. */
  reload(): Promise<void>
  /** Reads the file no more. The policy stays in force. */
  close(): void
}

/**
 * A policy for `serverAuth({ authorize })` that is read from a JSON file, now and then again (gRFC A43):
 *
 *     const rules = policyFile('/etc/shop/policy.json')
 *     const server = createServer({ interceptors: [serverAuth({ verify, authorize: rules })] })
 *
 * A file that cannot be read later, or that `policy.replace` refuses, is told of, and the last good policy stays. The timer keeps no
 * process alive.
 *
 * @throws TypeError for a wrong option and a file that is no policy, Error for one that cannot be read.
 */
export function policyFile(path: string, options: PolicyFileOptions = {}): PolicyFile {
  readValue(WHERE, 'path', path, text())
  const { everyMs, onChange, clock, ...rest } = readOptions(WHERE, options, table)
  const vouching = rest.authenticators && { authenticators: rest.authenticators.map(({ text }) => text) }
  const contained = contain<'onChange'>(WHERE)
  const tableIn = (found: string): PolicyTable => policyFromJson(found, vouching)

  /** What the last look found: the text, or why there is none. */
  let last = attempt(path, () => textOf(readFileSync(path)))
  const rules = attempt(path, () => policy(tableIn(last)))
  let closed = false
  let timer: unknown
  let looking: Promise<void> = Promise.resolve()

  const tell = (error: Error | undefined): void => {
    if (onChange !== undefined) contained.run('onChange', () => onChange({ path, error }))
    else if (error !== undefined) warn(error)
  }
  const look = async (): Promise<void> => {
    const found = await readFile(path).then(textOf).catch(asError)
    const said = typeof found === 'string' ? found : found.message
    if (closed || said === last) return
    last = said
    try {
      attempt(path, () => {
        if (typeof found !== 'string') throw found
        rules.replace(tableIn(found))
      })
    } catch (error) {
      return tell(asError(error))
    }
    tell(undefined)
  }
  // One look at a time, in turn: an older one never takes the place of a newer one.
  const reload = (): Promise<void> => {
    looking = looking.then(() => (closed ? undefined : look()))
    return looking
  }
  const wait = (): void => {
    if (closed || everyMs === Number.POSITIVE_INFINITY) return
    timer = clock.setTimeout(() => void reload().then(wait), everyMs)
    // Node's; a clock of a test may return anything.
    ;(timer as Partial<NodeJS.Timeout> | undefined)?.unref?.()
  }
  wait()
  return Object.assign(rules, {
    reload,
    close: () => {
      closed = true
      clock.clearTimeout(timer)
    },
  })
}

const WHERE = 'policyFile'

const table = {
  everyMs: milliseconds({ above: 0, infinite: true }).default(60_000),
  authenticators: listedPatterns().optional().refusingUndefined('leave it out if any of them may vouch'),
  onChange: func<NonNullable<PolicyFileOptions['onChange']>>().optional(),
  clock: monotonicClock(),
} satisfies OptionTable<PolicyFileOptions>

/** @throws TypeError for bytes that are no text: what they would be read as is not what was written. */
function textOf(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

/** @throws an error of the kind that `work` throws, which names the file. */
function attempt<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const { message } = asError(error)
    const options = { cause: error }
    throw error instanceof TypeError
      ? new TypeError(`${WHERE}: ${path}: ${message}`, options)
      : new Error(`${WHERE}: ${path}: ${message}`, options)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function warn(error: Error): void {
  process.emitWarning(`${error.message}. The last good policy is still in force.`, {
    type: 'GrpcStackWarning',
    code: 'GRPC_STACK_POLICY_FILE',
  })
}
