import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import { ContextVar, type Interceptor, propagate } from '@grpc-stack/grpc-core'
import {
  echo,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { alice, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { principalVar, type ServerAuthOptions, shareable } from '../index.ts'

const tenantVar = new ContextVar<string>('tenant')
const users = new AsyncLocalStorage<string>()

let arrived = 0
const backends: TestServer[] = []
afterEach(async () => {
  arrived = 0
  await stopAuthServers()
  for (const backend of backends.splice(0)) await backend.stop()
})

const entering: Interceptor = (call, next) => {
  arrived++
  const name = String(call.metadata.get('tenant')[0])
  tenantVar.set(name)
  return users.run(name, () => next())
}

const from = (tenant: string, token = tenant, deadline?: number) => ({
  metadata: metadataOf({ tenant, authorization: `Bearer ${token}` }),
  ...(deadline !== undefined && { options: { deadline } }),
})

const here = () => [tenantVar.get('none'), users.getStore() ?? 'none']

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle(1)
}

describe('a verification that is one call’s alone runs in the context of that call', () => {
  const waits: Record<string, Partial<ServerAuthOptions>> = {
    'a place': { maxConcurrent: 1 },
    'what failureLimit makes of another credential': { failureLimit: { max: 1 } },
  }
  for (const [what, options] of Object.entries(waits)) {
    for (const stock of [false, true]) {
      for (const pattern of patterns) {
        it(`also after it waited for ${what}: ${pattern}, ${stock ? 'stock server' : 'createServer'}`, async () => {
          const gate = new Gate()
          const seen: unknown[] = []
          const handled: unknown[] = []
          const server = await startAuthServer(
            {
              verify: async (token) => {
                seen.push([token, ...here()])
                await gate.opened
                seen.push([token, ...here()])
                return { subject: token }
              },
              ...options,
            },
            {
              stock,
              before: [entering],
              behaviour: (rpc) => {
                handled.push([principalVar.get().subject, ...here()])
                return echo(rpc)
              },
            },
          )
          const client = server.client()
          const rpcs = [runRpc(client, pattern, from('a'))]
          await until(() => seen.length === 1)
          rpcs.push(runRpc(client, pattern, from('b')), runRpc(client, pattern, from('c')))
          await until(() => arrived === 3)
          await settle()
          expect(seen).toEqual([['a', 'a', 'a']])
          gate.open()
          for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
          const own = ['a', 'b', 'c'].map((name) => [name, name, name])
          expect(seen).toEqual(own.flatMap((entry) => [entry, entry]))
          expect(handled.toSorted()).toEqual(own)
        })
      }
    }
  }

  it('while the verdict of a shareable verifier is not shared', async () => {
    const seen: unknown[] = []
    const verify = shareable(async () => {
      seen.push(here())
      return alice
    })
    const server = await startAuthServer({ verify, cache: false }, { before: [entering] })
    await runRpc(server.client(), 'unary', from('a'))
    expect(seen).toEqual([['a', 'a']])
  })
})

describe('a verification that calls share runs in the context of none', () => {
  /** Verifies by an RPC to a service that answers when the gate is opened, with what surrounds the verifier. */
  async function behindIdentityService(stock: boolean) {
    const gate = new Gate()
    const seen: unknown[] = []
    const service = await startTestServer({
      behaviour: async (rpc) => {
        await gate.opened
        return echo(rpc)
      },
    })
    backends.push(service)
    const client = service.client(propagate())
    const verify = shareable(async (...given: unknown[]) => {
      seen.push([given.length, ...here()])
      tenantVar.set('the verifier’s own')
      const { status } = await runRpc(client, 'unary')
      if (status?.code !== Code.OK) throw new Error(`the identity service: ${status?.details}`)
      return alice
    })
    const server = await startAuthServer({ verify }, { stock, before: [entering] })
    return { gate, seen, service, server, client: server.client() }
  }

  for (const stock of [false, true]) {
    for (const pattern of patterns) {
      for (const how of ['cancel', 'deadline'] as const) {
        it(`so the ${how} of the first does not reach the others: ${pattern}, ${stock ? 'stock' : 'ours'}`, async () => {
          const { gate, seen, service, server, client } = await behindIdentityService(stock)
          const deadline = how === 'deadline' ? Date.now() + 200 : undefined
          const first = startRpc(client, pattern, from('first', 'same', deadline))
          await service.received(0)
          const second = runRpc(client, pattern, from('second', 'same'))
          const third = startRpc(client, pattern, from('third', 'same'))
          await until(() => arrived === 3)
          if (how === 'cancel') first.cancel()
          await first.done
          third.cancel()
          await third.done
          await settle()
          gate.open()
          expect((await second).status?.code).toBe(Code.OK)
          expect((await runRpc(client, pattern, from('fourth', 'same'))).status?.code).toBe(Code.OK)
          expect(service.calls).toHaveLength(1)
          expect(server.calls).toHaveLength(2)
          await runRpc(client, pattern, from('fifth', 'other'))
          expect(seen).toEqual([
            [1, 'none', 'none'],
            [1, 'none', 'none'],
          ])
        })
      }
    }
  }

  it('also when only its refusals are shared', async () => {
    const seen: unknown[] = []
    const verify = shareable(async () => {
      seen.push(here())
      return null
    })
    const server = await startAuthServer({ verify, cache: { ttlMs: 0, negativeTtlMs: 1000 } }, { before: [entering] })
    for (const tenant of ['a', 'b']) await runRpc(server.client(), 'unary', from(tenant, 'same'))
    expect(seen).toEqual([['none', 'none']])
  })

  it('also when the verifier answers at once', async () => {
    const seen: unknown[] = []
    const verify = shareable(() => {
      seen.push(here())
      return alice
    })
    const server = await startAuthServer({ verify }, { before: [entering] })
    for (const token of ['x', 'y']) await runRpc(server.client(), 'unary', from('a', token))
    expect(seen).toEqual([
      ['none', 'none'],
      ['none', 'none'],
    ])
  })
})
