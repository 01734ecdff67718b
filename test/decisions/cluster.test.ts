// A server of four processes that have one limit, counted in their primary, while one of them dies, and then the primary.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Client, status as Code, credentials, Metadata, makeGenericClientConstructor } from '@grpc/grpc-js'
import { runRpc, type TestClient, testService } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ended, Figures, summary } from '../figures.ts'

const WORKERS = 4
/** More than there are workers: who gets a connection is the primary's doing. */
const CONNECTIONS = 8
const DUE = 50

interface FromServer {
  readonly address?: string
  readonly pids?: number[]
  readonly counters?: { readonly admitted: number; readonly refused: number }[]
}

const figures = new Figures('four workers, one limit', ['clusterStore'])
let server: ChildProcess
let address: string
let pids: number[]
let clients: TestClient[] = []

async function hears<Name extends keyof FromServer>(name: Name): Promise<FromServer> {
  for (;;) {
    const [message] = (await once(server, 'message')) as [FromServer]
    if (message[name] !== undefined) return message
  }
}

/** Each with a connection of its own. */
function connect(): void {
  const TestStub = makeGenericClientConstructor(testService, 'Test')
  clients = Array.from({ length: CONNECTIONS }, (_, i) => {
    // Channels with different options share no connection.
    const options = { 'grpc.primary_user_agent': `client-${i}` }
    return new TestStub(address, credentials.createInsecure(), options) as Client as TestClient // its methods are those of testService
  })
}

beforeAll(async () => {
  server = fork(fileURLToPath(new URL('cluster-server.mjs', import.meta.url)))
  ;({ address = '', pids = [] } = await hears('address'))
  connect()
}, 30_000)

afterAll(async () => {
  for (const client of clients) client.close()
  if (server.exitCode === null && server.signalCode === null) {
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  figures.print()
})

async function call(caller: string, index: number): Promise<Ended> {
  const metadata = new Metadata()
  metadata.set('caller', caller)
  const begin = performance.now()
  const { status } = await runRpc(clients[index % CONNECTIONS] as TestClient, 'unary', { metadata })
  return { code: status?.code, tookMs: performance.now() - begin }
}

const burst = (caller: string, count: number) => Promise.all(Array.from({ length: count }, (_, i) => call(caller, i)))
const admittedOf = (ended: readonly Ended[]) => ended.filter(({ code }) => code === Code.OK).length

describe('four workers with one limit', () => {
  it('count exactly together', async () => {
    const ended = await burst('ann', 200)
    const counters = hears('counters')
    server.send('counters')
    const each = (await counters).counters ?? []
    figures.set(`calls admitted of 200 at once, of ${DUE} due`, 'clusterStore', admittedOf(ended))
    expect(admittedOf(ended)).toBe(DUE)
    expect(each).toHaveLength(WORKERS)
    // Each of them had its share of the calls to decide about.
    for (const { admitted, refused } of each) expect(admitted + refused).toBeGreaterThan(0)
    expect(each.reduce((sum, { admitted }) => sum + admitted, 0)).toBe(DUE)
  })

  it('forget nothing when one of them dies and another takes its place', async () => {
    expect(admittedOf(await burst('bob', 100))).toBe(DUE)
    const again = hears('address')
    process.kill(pids[0] as number, 'SIGKILL')
    ;({ pids = [] } = await again)
    for (const client of clients) client.close()
    connect()
    const ended = await burst('bob', 100)
    figures.set(
      'a worker is killed and started again: admitted beyond a spent burst',
      'clusterStore',
      admittedOf(ended),
    )
    expect(ended.filter(({ code }) => code === Code.RESOURCE_EXHAUSTED)).toHaveLength(100)
  })

  it('wait no longer than storeTimeoutMs for a primary that answers nothing', async () => {
    process.kill(server.pid as number, 'SIGSTOP')
    try {
      const ended = await burst('cid', 20)
      figures.set('the primary answers nothing: calls end', 'clusterStore', summary(ended))
      expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([Code.UNAVAILABLE]))
      expect(Math.min(...ended.map(({ tookMs }) => tookMs))).toBeGreaterThanOrEqual(995)
    } finally {
      process.kill(server.pid as number, 'SIGCONT')
    }
    await expect.poll(async () => (await call('cid', 0)).code, { timeout: 10_000 }).toBe(Code.OK)
  })

  it('end with their primary', async () => {
    server.kill('SIGKILL')
    const ended = await burst('dan', 20)
    figures.set('the primary is killed: calls end', 'clusterStore', summary(ended))
    expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([Code.UNAVAILABLE]))
    await expect.poll(() => pids.filter(runs), { timeout: 10_000 }).toEqual([])
  })
})

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
