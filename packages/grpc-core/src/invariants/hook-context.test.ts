import { AsyncLocalStorage } from 'node:async_hooks'
import { type CallOptions, status as Code } from '@grpc/grpc-js'
import { patterns, runRpc, type ServerRpc, startRpc, startTestServer, type TestPattern } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import { type Call, type ClientCall, ContextVar, type Interceptor } from '../index.ts'

const store = new AsyncLocalStorage<string>()
const variable = new ContextVar<string>('who')
const here = (): string => `${store.getStore()}/${variable.get('unset')}`

type Ending = 'OK' | 'an error' | 'a refusal' | 'cancel' | 'deadline'
const endings: readonly Ending[] = ['OK', 'an error', 'a refusal', 'cancel', 'deadline']

/** Registers every hook there is, and says where each of them ran, with a store entered around `next()`. */
const observing =
  (name: string, seen: Set<string>): Interceptor =>
  (call, next) => {
    const hear = (hook: string) => () => {
      seen.add(`${hook} in ${here()}`)
      return undefined
    }
    call.onRequest(hear('request'))
    call.onResponse(hear('response'))
    call.onResponseMetadata(hear('headers'))
    call.onStatus(hear('status'))
    // The abort is told where the signal was first asked for.
    const asked = here()
    call.signal.addEventListener('abort', () => {
      seen.add(`abort in ${here() === asked ? 'mine/rpc' : here()}`)
    })
    if (call.side === 'client') {
      ;(call as ClientCall).onAttempt(() => {
        hear('attempt')()
        return hear('attempt end')
      })
    }
    return store.run(name, () => call.recover(next, hear('recover')))
  }

/** What is behind the hooks: another store, another value, so that those of the hooks can be told from them. */
const inside: Interceptor = (_call, next) => store.run('inside', next)
const naming: Interceptor = (_call, next) => {
  variable.set('rpc')
  return next()
}

const requestsOf = (pattern: TestPattern) =>
  pattern === 'clientStream' || pattern === 'bidi' ? [{ n: 1 }, { n: 2 }] : [{ n: 1 }]

async function answer(rpc: ServerRpc, ending: Ending): Promise<void> {
  rpc.sendHeaders({ early: 'yes' })
  await rpc.readAll()
  if (ending === 'cancel' || ending === 'deadline') return
  if (ending === 'OK' || rpc.pattern === 'serverStream' || rpc.pattern === 'bidi') await rpc.write({ text: 'answer' })
  if (ending === 'OK') rpc.end()
  else rpc.end({ code: Code.ABORTED, details: 'no' })
}

const refusing: Interceptor = () => ({ code: Code.PERMISSION_DENIED })

/** The hooks that must have run; where they ran is looked at for all that did. */
function due(side: Call['side'], ending: Ending, pattern: TestPattern): string[] {
  const streams = pattern === 'serverStream' || pattern === 'bidi'
  const hooks = ['status', 'recover']
  if (ending === 'a refusal') return hooks
  hooks.push('request', 'headers')
  if (side === 'client') hooks.push('attempt', 'attempt end')
  if (ending === 'OK' || (ending === 'an error' && streams)) hooks.push('response')
  if (ending === 'cancel') hooks.push('abort')
  return hooks
}

describe('hooks of a layer run where it called next()', () => {
  const cases = (['client', 'server'] as const).flatMap((side) =>
    endings.flatMap((ending) => patterns.map((pattern) => [side, ending, pattern] as const)),
  )
  it.each(cases)('on the %s, %s: %s', async (side, ending, pattern) => {
    const seen = new Set<string>()
    const stack = [naming, observing('mine', seen), inside, ...(ending === 'a refusal' ? [refusing] : [])]
    await using server = await startTestServer({
      interceptors: side === 'server' ? stack : [],
      behaviour: (rpc) => answer(rpc, ending),
    })
    const client = server.client(...(side === 'client' ? stack : []))
    // The connection is another user's; its own call must not be among the seen.
    await store.run('of another', () =>
      runRpc(server.client(), 'unary', { options: { deadline: Date.now() + 1 } }).catch(() => undefined),
    )
    seen.clear()
    const complete = () => due(side, ending, pattern).every((hook) => seen.has(`${hook} in mine/rpc`))
    const play = async (options: CallOptions): Promise<void> => {
      const begun = server.calls.length
      const rpc = store.run('caller', () => startRpc(client, pattern, { requests: requestsOf(pattern), options }))
      if (ending === 'cancel') {
        await until(() => server.calls.slice(begun).some(({ requests }) => requests.length > 0))
        await rpc.headersSeen
        store.run('of another', () => rpc.cancel())
      }
      await rpc.done
      await Promise.all(server.calls.map(({ closed }) => closed))
    }
    if (ending === 'deadline') {
      // On a busy machine it may pass before the server has answered anything, and hooks of an answer have nothing to run for.
      for (let ms = 60; ms < 5000 && !complete(); ms *= 4) await play({ deadline: Date.now() + ms })
    } else await play({})
    await until(complete, [...seen].join())
    expect([...seen].filter((line) => !line.endsWith(' in mine/rpc'))).toEqual([])
  })
})

describe('later attempts run where the layer that makes them called next()', () => {
  const repeating =
    (byHand: boolean): Interceptor =>
    (call, next) => {
      ;(call as ClientCall).makeReplayable({ maxBytes: 10_000, maxMessages: 10 })
      if (byHand) return next().then((status) => (status.code === Code.UNAVAILABLE ? next() : status))
      return call.recover(next, (status) => (status.code === Code.UNAVAILABLE ? next() : undefined))
    }
  const cases = [
    ['recover', false],
    ['then', true],
  ] as const
  it.each(cases.flatMap(([how, byHand]) => patterns.map((pattern) => [how, pattern, byHand] as const)))(
    'from %s: %s',
    async (_how, pattern, byHand) => {
      const attempts: string[] = []
      const seen = new Set<string>()
      let failed = false
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          await rpc.readAll()
          if (!failed) {
            failed = true
            rpc.end({ code: Code.UNAVAILABLE, details: 'once' })
            return
          }
          await rpc.write({ text: 'answer' })
          rpc.end()
        },
      })
      await store.run('of another', () => runRpc(server.client(), 'unary'))
      failed = false
      const counting: Interceptor = (_call, next) => {
        attempts.push(here())
        return next()
      }
      const entering: Interceptor = (_call, next) => store.run('outer', next)
      const client = server.client(naming, entering, repeating(byHand), counting, observing('mine', seen))
      const rpc = await store.run('caller', () => startRpc(client, pattern, { requests: requestsOf(pattern) }).done)
      expect(rpc.status?.code).toBe(Code.OK)
      expect(attempts).toEqual(['outer/rpc', 'outer/rpc'])
      expect([...seen].filter((line) => !line.endsWith(' in mine/rpc'))).toEqual([])
    },
  )
})
