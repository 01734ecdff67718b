import { status as Code, credentials } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { Gate, patterns, runRpc, settle, startRpc, TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { alice, answerTo, carrying, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { relayFrom } from '../../test/relay.ts'
import { type ServerAuthOptions, shareable } from '../index.ts'
import { FairQueue } from './fair-queue.ts'
import { Semaphore } from './semaphore.ts'

const closers: (() => void)[] = []
let arrived = 0
afterEach(async () => {
  vi.useRealTimers()
  arrived = 0
  for (const close of closers.splice(0)) close()
  await stopAuthServers()
})

const arriving: Interceptor = (_call, next) => {
  arrived++
  return next()
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle(1)
}

async function clientFrom(localAddress: string, server: TestServer): Promise<TestClient> {
  const relay = await relayFrom(localAddress, server.address)
  const client = new TestClient(relay.address, credentials.createInsecure())
  closers.push(() => client.close(), relay.close)
  return client
}

describe('one address does not keep the others from being verified', () => {
  const sizes: Record<string, Partial<ServerAuthOptions>> = {
    'the default bounds': {},
    'small bounds': { maxConcurrent: 4, maxQueued: 10 },
  }
  for (const [which, bounds] of Object.entries(sizes)) {
    for (const share of [true, false]) {
      for (const stock of [false, true]) {
        it(`${which}, ${share ? 'shareable' : 'by call'}, ${stock ? 'stock' : 'ours'}`, async () => {
          const gate = new Gate()
          const verify = async (token: string) => {
            if (token.startsWith('junk')) await gate.opened
            return token.startsWith('junk') ? null : alice
          }
          const server = await startAuthServer(
            { verify: share ? shareable(verify) : verify, timeoutMs: 60_000, ...bounds },
            { stock, before: [arriving] },
          )
          const flood = await clientFrom('127.0.0.2', server)
          const other = await clientFrom('127.0.0.3', server)
          const junk = Array.from({ length: 1200 }, (_, n) =>
            startRpc(flood, patterns[n % 4]!, carrying(`Bearer junk-${n}`)),
          )
          await until(() => arrived === 1200)
          for (const pattern of patterns) {
            const rpc = await runRpc(other, pattern, carrying(`Bearer new-${pattern}`))
            expect(rpc.status?.code).toBe(Code.OK)
          }
          gate.open()
          for (const rpc of junk) rpc.cancel()
          await Promise.all(junk.map((rpc) => rpc.done))
        })
      }
    }
  }

  it('nor from a place in the queue: it loses the end of what it fills', async () => {
    const gate = new Gate()
    const started: string[] = []
    const server = await startAuthServer(
      {
        verify: async (token) => {
          started.push(token)
          await gate.opened
          return alice
        },
        maxConcurrent: 1,
        maxQueued: 4,
      },
      { before: [arriving] },
    )
    const [a, b] = [await clientFrom('127.0.0.2', server), await clientFrom('127.0.0.3', server)]
    const send = async (client: TestClient, token: string) => {
      const before = arrived
      const rpc = runRpc(client, 'unary', carrying(`Bearer ${token}`)).then(({ status }) => {
        return `${token} ${Code[status?.code ?? -1]}`
      })
      await until(() => arrived > before)
      await settle()
      return { rpc }
    }
    const rpcs = []
    for (const n of [1, 2, 3, 4, 5, 6]) rpcs.push((await send(a, `a${n}`)).rpc)
    for (const n of [1, 2, 3]) rpcs.push((await send(b, `b${n}`)).rpc)
    gate.open()
    const ended = await Promise.all(rpcs)
    expect(ended.filter((text) => text.endsWith('OK'))).toEqual(['a1 OK', 'a2 OK', 'a3 OK', 'b1 OK', 'b2 OK'])
    // In turn, whatever came first.
    expect(started).toEqual(['a1', 'a2', 'b1', 'a3', 'b2'])
  })
})

describe('a call that ends gives back what it holds', () => {
  for (const share of [true, false]) {
    it(`a cancelled one never begins a verification: ${share ? 'shareable' : 'by call'}`, async () => {
      const gate = new Gate()
      const started: string[] = []
      const verify = async (token: string) => {
        started.push(token)
        await gate.opened
        return alice
      }
      const server = await startAuthServer(
        { verify: share ? shareable(verify) : verify, maxConcurrent: 2, maxQueued: 10 },
        { before: [arriving] },
      )
      const client = server.client()
      const held = ['one', 'two'].map((token) => runRpc(client, 'unary', carrying(`Bearer ${token}`)))
      await until(() => started.length === 2)
      for (let round = 0; round < 5; round++) {
        const rpcs = Array.from({ length: 10 }, (_, n) =>
          startRpc(client, patterns[n % 4]!, carrying(`Bearer ${round}-${n}`)),
        )
        await until(() => arrived === 2 + (round + 1) * 10)
        await settle()
        // None was refused for those of the rounds before.
        expect(rpcs.some((rpc) => rpc.isDone)).toBe(false)
        for (const rpc of rpcs) rpc.cancel()
        await Promise.all(rpcs.map((rpc) => rpc.done))
        await settle(20)
      }
      gate.open()
      for (const rpc of held) expect((await rpc).status?.code).toBe(Code.OK)
      expect(await answerTo(server, 'Bearer last')).toBe('OK: OK')
      expect(started).toEqual(['one', 'two', 'last'])
    })

    it(`nor does one whose deadline passes: ${share ? 'shareable' : 'by call'}`, async () => {
      const gate = new Gate()
      const started: string[] = []
      const reasons: string[] = []
      const verify = async (token: string) => {
        started.push(token)
        await gate.opened
        return alice
      }
      const codes: unknown[] = []
      const observe: Interceptor = async (_call, next) => {
        const { code } = await next()
        codes.push(Code[code])
        return { code }
      }
      const server = await startAuthServer(
        {
          verify: share ? shareable(verify) : verify,
          maxConcurrent: 1,
          onDecision: ({ reason }) => void reasons.push(reason),
        },
        { before: [arriving, observe] },
      )
      const client = server.client()
      const held = runRpc(client, 'unary', carrying('Bearer one'))
      await until(() => started.length === 1)
      // Time stands still until the server has heard of the call.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
      const late = startRpc(client, 'bidi', { ...carrying('Bearer late'), options: { deadline: Date.now() + 100 } })
      await until(() => arrived === 2)
      vi.advanceTimersByTime(100)
      expect((await late.done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
      await until(() => reasons.length === 1)
      gate.open()
      expect((await held).status?.code).toBe(Code.OK)
      expect(started).toEqual(['one'])
      expect(reasons).toEqual(['cancelled', 'authorized'])
      // Either the server's own timer ends the call, or the reset that the client sends when its deadline passes comes first.
      expect(['DEADLINE_EXCEEDED', 'CANCELLED']).toContain(codes[0])
      expect(codes.slice(1)).toEqual(['OK'])
    })
  }
})

describe('calls that join a verification are counted', () => {
  async function joining(options: Partial<ServerAuthOptions>) {
    const gate = new Gate()
    let asked = 0
    const server = await startAuthServer(
      {
        verify: shareable(async () => {
          asked++
          await gate.opened
          return alice
        }),
        ...options,
      },
      { before: [arriving] },
    )
    return { gate, server, asked: () => asked }
  }

  it('so no more than maxJoined wait, and the others are told at once', async () => {
    const { gate, server, asked } = await joining({ maxJoined: 10 })
    const client = server.client()
    const rpcs = Array.from({ length: 100 }, (_, n) => startRpc(client, patterns[n % 4]!, carrying('Bearer same')))
    await until(() => rpcs.filter((rpc) => rpc.isDone).length === 89)
    for (const rpc of rpcs.filter(({ isDone }) => isDone)) {
      expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
    }
    gate.open()
    expect(await answerTo(server, 'Bearer same')).toBe('OK: OK')
    expect(asked()).toBe(1)
    for (const rpc of rpcs) rpc.cancel()
    await Promise.all(rpcs.map((rpc) => rpc.done))
  })

  it('and one that leaves makes room', async () => {
    const { gate, server, asked } = await joining({ maxJoined: 1 })
    const client = server.client()
    const first = runRpc(client, 'unary', carrying('Bearer same'))
    await until(() => asked() === 1)
    for (let n = 0; n < 5; n++) {
      const rpc = startRpc(client, 'unary', carrying('Bearer same'))
      await until(() => arrived === n + 2)
      await settle()
      expect(rpc.isDone).toBe(false)
      rpc.cancel()
      await rpc.done
      await settle(20)
    }
    gate.open()
    expect((await first).status?.code).toBe(Code.OK)
  })

  it('and an address that fills the room loses it to another', async () => {
    const { gate, server, asked } = await joining({ maxJoined: 4 })
    const [a, b] = [await clientFrom('127.0.0.2', server), await clientFrom('127.0.0.3', server)]
    const crowd = Array.from({ length: 5 }, () => runRpc(a, 'unary', carrying('Bearer same')))
    await until(() => arrived === 5)
    const two = [runRpc(b, 'unary', carrying('Bearer same')), runRpc(b, 'bidi', carrying('Bearer same'))]
    await until(() => arrived === 7)
    await settle()
    gate.open()
    for (const rpc of two) expect((await rpc).status?.code).toBe(Code.OK)
    const codes = (await Promise.all(crowd)).map(({ status }) => Code[status?.code ?? -1])
    expect(codes.filter((code) => code === 'OK')).toHaveLength(3)
    expect(asked()).toBe(1)
  })
})

describe('the places of a semaphore', () => {
  it('are never all one key’s, nor any number of keys’', () => {
    const places = new Semaphore(64, 0)
    const held: number[] = []
    for (const key of ['a', 'b', 'c', 'd']) {
      let count = 0
      while (places.tryAcquire(key)) count++
      held.push(count)
    }
    expect(held).toEqual([48, 12, 3, 1])
  })

  it('are given to those that wait in turn, and never more than there are', () => {
    const places = new Semaphore(4, 100)
    const held: string[] = []
    let most = 0
    const waitFor = (key: string) =>
      places.wait(
        key,
        () => {
          held.push(key)
          most = Math.max(most, held.length)
        },
        () => undefined,
      )
    for (const key of 'aaa') if (places.tryAcquire(key)) held.push(key)
    for (const key of 'aaaaaabbbbbb')
      if (places.tryAcquire(key)) held.push(key)
      else waitFor(key)
    const order: string[] = []
    while (held.length > 0) {
      const key = held.shift() ?? ''
      order.push(key)
      places.release(key)
    }
    expect(order).toHaveLength(15)
    expect(most).toBeLessThanOrEqual(4)
    for (const key of 'zzz') expect(places.tryAcquire(key)).toBe(true)
  })

  it('stand whatever the order in which keys come, wait and go', () => {
    const queue = new FairQueue<number>(3, () => undefined)
    expect([1, 2, 3, 4].map((n) => queue.add('a', n))).toEqual([true, true, true, false])
    expect(queue.add('b', 5)).toBe(true)
    expect(queue.add('b', 6)).toBe(false)
    expect(queue.size).toBe(3)
    expect([1, 2, 3, 4].map(() => queue.shift(() => true)?.item)).toEqual([1, 5, 2, undefined])
    expect(queue.size).toBe(0)
  })
})
