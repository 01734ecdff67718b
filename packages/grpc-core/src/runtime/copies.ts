import { PROTOCOL, VERSION } from './version.ts'

// A process may hold several copies of this package: two versions that a package manager could not unite, or the same files
// bundled twice. What one makes, the others recognise by symbols of the process-wide registry, never by its class.

/** A copy of this package. */
interface Copy {
  readonly protocol: number
  readonly version: string
}

const NAME = '@grpc-stack/grpc-core'

/** Where a thing that is given to composition functions says which copy made it. */
const COPY: unique symbol = Symbol.for(`${NAME}.copy`)

const THIS_COPY: Copy = Object.freeze({ protocol: PROTOCOL, version: VERSION })

/** Marks a thing as made by this copy. The mark of another compatible copy stays. */
export function markCopy<T extends object>(made: T): T {
  if (Object.hasOwn(made, COPY)) return made
  return Object.defineProperty(made, COPY, { value: THIS_COPY })
}

/** Whether a copy of this package made this, compatible or not. */
export function isMarked(value: object): boolean {
  return COPY in value
}

/**
 * Refuses what a copy made that this one cannot work with.
 * @throws TypeError naming both versions.
 */
export function checkCopy(value: unknown, where: string): void {
  const copy = (value as { [COPY]?: Copy } | null | undefined)?.[COPY]
  if (copy !== undefined && copy.protocol !== PROTOCOL) throw incompatible(copy, `${where} was made by`)
}

function incompatible({ protocol, version }: Copy, what: string): TypeError {
  return new TypeError(
    `${what} ${NAME} ${version} (protocol ${protocol}), which ${NAME} ${VERSION} (protocol ${PROTOCOL}) cannot work with: ` +
      `install one version of ${NAME} that suits all packages which depend on it; \`npm ls ${NAME}\` shows them`,
  )
}

/** What copies keep in common, by protocol and name. This much holds for every protocol. */
type Everything = Map<number, Map<string, unknown>>

const everything = ofProcess()

function ofProcess(): Everything {
  const scope = globalThis as { [key: symbol]: Everything | undefined }
  const key = Symbol.for(NAME)
  scope[key] ??= new Map()
  return scope[key]
}

/** The one value of this name that all compatible copies in this process share. */
export function processWide<T extends object>(name: string, make: () => T): T {
  let ours = everything.get(PROTOCOL)
  if (ours === undefined) {
    ours = new Map()
    everything.set(PROTOCOL, ours)
  }
  let value = ours.get(name)
  if (value === undefined) {
    value = make()
    ours.set(name, value)
  }
  return value as T // made under this name, with this protocol
}

/** The process-wide context of a protocol. This much of it holds for every protocol. */
export interface SharedContext<C> {
  storage: { getStore(): C | undefined } | undefined
  /** Of the copy that made it. */
  readonly version: string
}

interface ContextAtHand {
  readonly ofRpc?: boolean
  readonly serverCall?: unknown
}

/**
 * Refuses to look for something of the RPC at hand where that RPC is run by a copy that this one cannot work with, so that it
 * would look unset.
 * @param side `server` for what only matters while a server RPC is handled
 * @throws TypeError naming both versions.
 */
export function checkRpcAtHand(what: string, side?: 'server'): void {
  if (everything.size < 2) return
  for (const [protocol, values] of everything) {
    if (protocol === PROTOCOL) continue
    const { storage, version } = (values.get('context') ?? {}) as Partial<SharedContext<ContextAtHand>>
    const context = storage?.getStore()
    if (context?.ofRpc === true && (side === undefined || context.serverCall !== undefined)) {
      throw incompatible({ protocol, version: version ?? 'of another version' }, `${what}: the RPC at hand is run by`)
    }
  }
}
