import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FakeClock, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { rateLimit } from '../index.ts'
import { clusterStore } from './cluster-store.ts'

const script = fileURLToPath(new URL('../../test/cluster-workers.mjs', import.meta.url))

async function run(environment: Record<string, string>): Promise<unknown> {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += String(chunk)
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect(code).toBe(0)
  return JSON.parse(printed)
}

describe('clusterStore', () => {
  it.each(['processes', 'threads'])('is one limit for four %s, which end when their work does', async (kind) => {
    expect(await run({ KIND: kind })).toEqual({ admitted: 10, workers: 4 })
  })

  it('counts each key apart', async () => {
    expect(await run({ KIND: 'processes', OWN_KEY: 'yes' })).toEqual({ admitted: 40, workers: 4 })
  })

  it.each(['processes', 'threads'])('gives each of several stores its own answers: %s', async (kind) => {
    expect(await run({ KIND: kind, CROSSED: 'yes' })).toEqual({ admitted: 4, workers: 4 })
  })

  it('is one store for all that ask for it by its name', async () => {
    const quota = { leakPerUs: 1, unitsPerCall: 1_000_000, capacity: 3_000_000 }
    const clock = new FakeClock()
    const limiters = [1, 2].map(() =>
      clusterStore({ name: 'twice', clock }).open([{ name: 'x', quota, sameKeyAsFirst: true }]),
    )
    const admitted: boolean[] = []
    for (let i = 0; i < 4; i++) admitted.push((await limiters[i % 2]?.take(['ann'], [1]))?.admitted === true)
    expect(admitted).toEqual([true, true, true, false])
    expect(() => clusterStore({ name: 'twice', maxKeys: 5 })).toThrow('one name is one store')
  })

  it('counts in this process where that is no worker', async () => {
    const clock = new FakeClock()
    const store = clusterStore({ name: 'alone', clock })
    expect(store.counts).toBe(true)
    const server = await startTestServer({ interceptors: [rateLimit({ rate: 2, name: 'x', store, clock })] })
    try {
      const codes: unknown[] = []
      for (let i = 0; i < 3; i++) codes.push((await runRpc(server.client(), 'unary')).status?.code)
      expect(codes).toEqual([0, 0, 8])
    } finally {
      await server.stop()
    }
  })

  it.each([
    [{ name: 5 }, 'option "name"'],
    [{ maxKeys: 0 }, 'option "maxKeys"'],
    [{ rate: 5 }, 'unknown option "rate"'],
  ])('refuses %j', (options, message) => {
    expect(() => clusterStore(options as object)).toThrow(TypeError)
    expect(() => clusterStore(options as object)).toThrow(message)
  })
})
