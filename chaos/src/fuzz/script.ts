import { Random } from '../random.ts'
import { type Fault, MAX_MESSAGE_BYTES, type Pattern, patterns } from '../service.ts'

/** One thing that happens, in the order of the script. `client` and `server` are the application on either side. */
export type Step =
  | { readonly client: 'write'; readonly size: number; readonly fault?: Fault; readonly uncompressed?: true }
  | { readonly client: 'halfClose' | 'cancel' | 'pause' | 'resume' }
  | { readonly server: 'headers' | 'pause' | 'resume' }
  | { readonly server: 'write'; readonly size: number; readonly fault?: Fault }
  | { readonly server: 'status'; readonly code: number; readonly size?: number; readonly fault?: Fault }
  | { readonly wait: 'turns' | 'ms'; readonly count: number }
  /** Until all that was sent has arrived where it is read. */
  | { readonly wait: 'arrival' }
  /** Something happens to the connection. */
  | { readonly connection: string }
  /** Until the RPC has ended by its deadline. */
  | { readonly wait: 'deadline' }

/** One RPC, told step by step. */
export interface Script {
  readonly seed: number
  readonly pattern: Pattern
  /** The request, where it is a single one. */
  readonly request?: { readonly size: number; readonly fault?: Fault }
  readonly metadata: readonly (readonly [key: string, value: string])[]
  /** Metadata of the response: of the headers, and of the status. */
  readonly headers: readonly (readonly [key: string, value: string])[]
  readonly trailers: readonly (readonly [key: string, value: string])[]
  readonly options: {
    readonly deadlineMs?: number
    readonly deadlineAsDate?: true
    readonly waitForReady?: true
    /** The application changes its metadata object as soon as the call is made. */
    readonly metadataReused?: true
  }
  readonly steps: readonly Step[]
}

const SIZES = [0, 1, 10, 10, 100, 1000, 1000, 16 * 1024, 65_530, 70_000, 200 * 1024]
const CODES = [0, 0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 16]
const VALUES = ['', 'x', 'a value', 'y'.repeat(300), '~!@#$%^&*()']

/** The script of a seed. */
export function scriptOf(seed: number): Script {
  const random = new Random(seed)
  const pattern = random.pick(patterns)
  const requestStream = pattern === 'clientStream' || pattern === 'bidi'
  const responseStream = pattern === 'serverStream' || pattern === 'bidi'
  // Calm scripts wait for arrival before anything ends the RPC, so grpc-js itself behaves the same every time.
  const calm = random.chance(0.65)
  const deadline = random.chance(0.12)
  const steps: Step[] = []
  const pause = (): void => {
    if (calm ? random.chance(0.5) : random.chance(0.15)) steps.push({ wait: 'arrival' })
    else if (random.chance(0.25)) steps.push({ wait: 'turns', count: 1 + random.below(4) })
    else if (random.chance(0.1)) steps.push({ wait: 'ms', count: 1 + random.below(5) })
  }
  let halfClosed = !requestStream
  let headers = false
  for (let left = random.below(12); left > 0; left--) {
    const choice = random.below(10)
    if (choice < 3 && requestStream && !halfClosed) {
      steps.push({
        client: 'write',
        size: random.pick(SIZES),
        ...(random.chance(0.1) && ({ uncompressed: true } as const)),
      })
    } else if (choice < 6 && responseStream) {
      headers = true
      steps.push({ server: 'write', size: random.pick(SIZES) })
    } else if (choice === 6 && !headers) {
      headers = true
      steps.push({ server: 'headers' })
    } else if (choice === 7 && random.chance(0.4) && !halfClosed) {
      halfClosed = true
      steps.push({ client: 'halfClose' })
    } else if (choice === 8 && random.chance(0.4)) {
      if (responseStream && random.chance(0.5)) steps.push({ client: random.pick(['pause', 'resume'] as const) })
      else if (requestStream) steps.push({ server: random.pick(['pause', 'resume'] as const) })
    }
    pause()
  }
  if (calm && !deadline) steps.push({ wait: 'arrival' })
  if (deadline) steps.push(...(calm ? ([{ wait: 'arrival' }, { wait: 'deadline' }] as const) : []))
  else steps.push(...ending(random, calm, requestStream, responseStream, halfClosed))
  // What happens after the end, and what the application tries all the same.
  if (random.chance(0.15) && requestStream) steps.push({ client: 'write', size: 10 })
  if (random.chance(0.1)) steps.push({ client: 'cancel' })
  const faulty = random.chance(0.02)
  return {
    seed,
    pattern,
    ...(!requestStream && {
      request: {
        size: random.chance(0.02) ? MAX_MESSAGE_BYTES + 10 : random.pick(SIZES),
        ...(faulty && { fault: random.pick(['serialize', 'parse'] as const) }),
      },
    }),
    metadata: entries(random),
    headers: entries(random),
    trailers: entries(random),
    options: {
      ...(deadline
        ? { deadlineMs: calm ? 50 + random.below(50) : random.below(40) }
        : random.chance(0.2) && { deadlineMs: 60_000 }),
      ...(random.chance(0.3) && ({ deadlineAsDate: true } as const)),
      ...(random.chance(0.2) && ({ waitForReady: true } as const)),
      ...(random.chance(0.2) && ({ metadataReused: true } as const)),
    },
    steps,
  }
}

function ending(
  random: Random,
  calm: boolean,
  requestStream: boolean,
  responseStream: boolean,
  halfClosed: boolean,
): Step[] {
  const after: Step[] = calm ? [{ wait: 'arrival' }] : []
  const fault = random.pick(['serialize', 'parse'] as const)
  const choice = random.next()
  if (choice < 0.15) return [{ client: 'cancel' }, ...after]
  if (choice < 0.22 && requestStream && !halfClosed) return [{ client: 'write', size: 10, fault }, ...after]
  if (choice < 0.28 && responseStream) return [{ server: 'write', size: 10, fault }, ...after]
  if (choice < 0.32 && responseStream) return [{ server: 'write', size: MAX_MESSAGE_BYTES + 10 }, ...after]
  if (choice < 0.36 && requestStream && !halfClosed) {
    return [{ client: 'write', size: MAX_MESSAGE_BYTES + 10 }, ...after]
  }
  const early = random.chance(0.25) || halfClosed
  const close: Step[] = early ? [] : [{ client: 'halfClose' }, ...after]
  const code = random.pick(CODES)
  const status: Step = responseStream
    ? { server: 'status', code }
    : {
        server: 'status',
        code,
        ...(code === 0 && {
          size: random.chance(0.04) ? MAX_MESSAGE_BYTES + 10 : random.pick(SIZES),
          ...(random.chance(0.06) && { fault }),
        }),
      }
  return [...close, status, ...after]
}

function entries(random: Random): [string, string][] {
  const keys = ['a-key', 'b-key', 'b-key', 'c_key.d', 'x-bytes-bin', 'y-bytes-bin']
  return Array.from({ length: random.chance(0.5) ? 0 : random.below(5) }, () => {
    const key = random.pick(keys)
    // Binary values are written down as base64.
    const bytes = Buffer.from(Array.from({ length: random.below(20) }, () => random.below(256)))
    return [key, key.endsWith('-bin') ? bytes.toString('base64') : random.pick(VALUES)]
  })
}

/** A script as a person reads it, and as `--script` takes it back. */
export function written(script: Script): string {
  const { steps, ...rest } = script
  const lines = steps.map((step) => `    ${JSON.stringify(step)}`)
  return `${JSON.stringify(rest, undefined, 2).slice(0, -2)},\n  "steps": [\n${lines.join(',\n')}\n  ]\n}`
}

/**
 * Whether grpc-js has one way only to run this: nothing ends the RPC while something else is on its way. Where it has
 * several, only what holds in each of them can be asked for.
 */
export function isOrderly({ steps, request, options }: Script): boolean {
  if (options.deadlineMs !== undefined && options.deadlineMs < 1000) return false // the machine decides about time
  let opening = true
  let requests = false
  let responses = false
  let clientPaused = false
  let serverPaused = false
  let ended = request !== undefined && spoilt(request)
  let over = false
  for (const step of steps) {
    if ('wait' in step) {
      if (step.wait !== 'arrival') continue
      opening = false
      if (!serverPaused) requests = false
      if (!clientPaused) responses = false
      over = ended
      continue
    }
    if ('connection' in step) return false
    if (over) continue
    if (ended) return false
    if ('server' in step) opening = false // there is a handler to take it
    if (endsRpc(step)) {
      const inOrder = 'server' in step && step.server === 'status' && step.code === 0 && !spoilt(step)
      if (opening || requests || clientPaused || (responses && !inOrder)) return false
      ended = true
    } else if ('client' in step) {
      if (step.client === 'pause') clientPaused = true
      else if (step.client === 'resume') clientPaused = false
      else requests = true
    } else if (step.server === 'pause') serverPaused = true
    else if (step.server === 'resume') serverPaused = false
    else responses = true
  }
  return true
}

function endsRpc(step: Step): boolean {
  if ('wait' in step || 'connection' in step) return false
  if ('client' in step) return step.client === 'cancel' || (step.client === 'write' && spoilt(step))
  return step.server === 'status' || (step.server === 'write' && spoilt(step))
}

function spoilt({ size = 0, fault }: { readonly size?: number; readonly fault?: Fault }): boolean {
  return fault !== undefined || size > MAX_MESSAGE_BYTES
}
