import { Session } from 'node:inspector'

/** Share of this process's busy time by whose code it ran, from 0 to 1, largest first. */
export type Shares = Record<string, number>

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

let session: Session | undefined

export function startProfile(): void {
  session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: 200 })
  session.post('Profiler.start')
}

export function stopProfile(): Promise<Shares> {
  return new Promise((resolve, reject) => {
    session?.post('Profiler.stop', (error, answer) => {
      session?.disconnect()
      if (error) reject(error)
      else resolve(byOwner(answer.profile as Profile))
    })
  })
}

function byOwner({ nodes, samples, timeDeltas }: Profile): Shares {
  const owners = new Map(nodes.map(({ id, callFrame }) => [id, owner(callFrame.functionName, callFrame.url)]))
  const times = new Map<string, number>()
  let busy = 0
  for (const [i, id] of samples.entries()) {
    const name = owners.get(id)
    const time = timeDeltas[i] ?? 0
    if (name === undefined) continue
    busy += time
    times.set(name, (times.get(name) ?? 0) + time)
  }
  return Object.fromEntries(
    [...times].sort(([, a], [, b]) => b - a).map(([name, time]) => [name, time / Math.max(1, busy)]),
  )
}

/** Whose code a function is; undefined while nothing runs. */
function owner(functionName: string, url: string): string | undefined {
  if (functionName === '(idle)') return undefined
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (/async_hooks|async_context/.test(url)) return 'Node: async context'
  if (url.startsWith('node:')) return 'Node: HTTP/2, streams, queues'
  const library = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  if (library !== undefined) return library.startsWith('@opentelemetry/') ? '@opentelemetry' : library
  const ours = /\/packages\/([^/]+)\//.exec(url)?.[1]
  if (ours !== undefined) return `@grpc-stack/${ours}`
  if (url.includes('/bench/')) return 'the application'
  return 'native code'
}
