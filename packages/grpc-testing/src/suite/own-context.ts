import { deepStrictEqual } from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Call,
  type ClientInterceptorLike,
  ContextVar,
  type Interceptor,
  type Next,
  type ServerInterceptorLike,
  type Status,
} from '@grpc-stack/grpc-core'
import type { ServerRpc } from '../server-rpc.ts'
import { metadataOf } from '../server-rpc.ts'
import type { TestPattern } from '../test-service.ts'
import { someRequests } from './scenario.ts'
import { type TelemetryContext, telemetryContext } from './telemetry-context.ts'
import { openWorld, type Place, type SuiteSubject } from './world.ts'

const NAME = 'suite-call'
const SEEN = 'suite-seen'

/** What an application keeps for the call at hand, three ways. Lazy: having it changes nothing for other tests. */
const store = new AsyncLocalStorage<string>()
const variable = new ContextVar<string>('suite-call', { lazy: true })

/**
 * Calls that wait for each other: an interceptor lets one in at a time, and the call that ends resumes the next one within
 * its own event, as queues, pools and batchers do. Each must go on in its own context.
 *
 * @throws AssertionError if a call, its handler or the application's callbacks found the context of another one.
 */
export async function assertOwnContexts(
  pattern: TestPattern,
  make: () => SuiteSubject,
  places: readonly Place[],
): Promise<void> {
  variable.enable()
  const telemetry = await telemetryContext()
  for (const place of places) {
    for (const side of ['client', 'server'] as const) {
      if (!place[side]) continue
      for (const position of ['outside', 'inside'] as const) {
        const wrong = await strangersSeen(pattern, make(), place, side, position, telemetry)
        deepStrictEqual(wrong, [], `interceptors on ${place.name}, waiting ${position} of them on the ${side}`)
      }
    }
  }
}

async function strangersSeen(
  pattern: TestPattern,
  subject: SuiteSubject,
  place: Place,
  side: 'client' | 'server',
  position: 'outside' | 'inside',
  telemetry: TelemetryContext,
): Promise<string[]> {
  const wrong: string[] = []
  const gate = oneAtATime()
  const check = (where: string, name: string): void => {
    const seen: [string, string | undefined][] = [
      ['AsyncLocalStorage', store.getStore()],
      ['ContextVar', variable.get('unset')],
      // An interceptor may begin a trace of its own; that of another call is never right.
      ['OpenTelemetry context', telemetry.get(SEEN) ?? name],
    ]
    for (const [kind, found] of seen) {
      if (found !== name) wrong.push(`${where} of ${name}: ${kind} of ${found}`)
    }
  }
  const entering: Interceptor = (call, next) => {
    const name = nameOf(call)
    variable.set(name)
    return telemetry.with(SEEN, name, () => store.run(name, next))
  }
  const noting: Interceptor = async (call, next) => {
    check(`${call.side} interceptor`, nameOf(call))
    if (call.side === 'client') call.metadata.set(SEEN, store.getStore() ?? 'none')
    const status = await next()
    check(`${call.side} interceptor after next()`, nameOf(call))
    return status
  }
  const around = <T>(list: readonly T[], here: 'client' | 'server'): readonly (T | Interceptor)[] => {
    const waiting = here === side ? [gate.interceptor] : []
    const outer = here === 'server' ? [entering] : []
    return position === 'outside' ? [...outer, ...waiting, ...list, noting] : [...outer, ...list, ...waiting, noting]
  }
  const world = await openWorld(place, subject, {
    client: (list) => around(list, 'client') as ClientInterceptorLike[],
    server: (list) => around(list, 'server') as ServerInterceptorLike[],
  })
  const behaviour = async (rpc: ServerRpc): Promise<void> => {
    const name = String(rpc.metadata.get(NAME)[0])
    const sent = String(rpc.metadata.get(SEEN)[0])
    if (sent !== name) wrong.push(`sent by ${name}: the store of ${sent}`)
    check('handler', name)
    await rpc.readAll()
    while (name === 'A' && gate.waiting < 2) await new Promise((resolve) => setImmediate(resolve))
    await rpc.write({ text: name })
    check('handler, later', name)
    rpc.end()
  }
  try {
    const calls = ['A', 'B', 'C'].map((name) =>
      store.run(name, () =>
        telemetry.with(SEEN, name, async () => {
          const token = variable.set(name)
          const rpc = world.start(pattern, {
            requests: someRequests(pattern),
            metadata: metadataOf({ [NAME]: name }),
            behaviour,
          })
          variable.reset(token)
          const emitter: NodeJS.EventEmitter = rpc.call
          for (const event of ['metadata', 'data', 'status']) {
            if (event === 'data' && !('read' in rpc.call)) continue
            emitter.on(event, () => {
              if (store.getStore() !== name) wrong.push(`${event} of ${name}: AsyncLocalStorage of ${store.getStore()}`)
            })
          }
          await rpc.done
          if (rpc.status?.code !== 0) wrong.push(`${name} ended with ${rpc.status?.code} ${rpc.status?.details}`)
        }),
      ),
    )
    await Promise.all(calls)
    await Promise.all(world.server.calls.map((rpc) => rpc.closed))
  } finally {
    await world.server.stop()
  }
  return wrong
}

const nameOf = (call: Call): string => String(call.metadata.get(NAME)[0])

/** Lets one call in at a time. */
function oneAtATime(): { readonly interceptor: Interceptor; readonly waiting: number } {
  const waiting: (() => void)[] = []
  let busy = false
  const enter = async (next: Next): Promise<Status> => {
    const status = await next()
    const following = waiting.shift()
    if (following === undefined) busy = false
    else following()
    return status
  }
  return {
    interceptor: (_call, next) => {
      if (busy) return new Promise((resolve) => waiting.push(() => resolve(enter(next))))
      busy = true
      return enter(next)
    },
    get waiting() {
      return waiting.length
    },
  }
}
