import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  FakeClock,
  Gate,
  manual,
  metadataOf,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  type TestMessage,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attempts, fail, failure, unavailable } from '../test/harness.ts'
import { type GiveUpEvent, RetryBudget, type RetryOptions, retry } from './index.ts'

// Names in backquotes are those of grpc-java's RetriableStreamTest.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const requestStreams = ['clientStream', 'bidi'] as const
const singleRequests = ['unary', 'serverStream'] as const
const responseStreams = ['serverStream', 'bidi'] as const

const text = (...texts: string[]): TestMessage[] => texts.map((t) => ({ text: t }))
const texts = (rpc: ServerRpc | undefined) => rpc?.requests.map((message) => message.text)
const at = (behaviour: { seen: readonly ServerRpc[] }, n: number): ServerRpc => behaviour.seen[n] as ServerRpc

/** Reads that many requests, then fails. */
const failAfter =
  (n: number): Behaviour =>
  async (rpc) => {
    for (let i = 0; i < n; i++) await rpc.read()
    rpc.end(failure(Code.UNAVAILABLE))
  }

const defeats: GiveUpEvent[] = []
const quick = (options: RetryOptions = {}) =>
  retry({ initialBackoffMs: 0, onGiveUp: (event) => defeats.push(event), ...options })
const lastDefeat = () => defeats.at(-1)?.reason

describe.each(requestStreams)('replay, %s', (pattern) => {
  it('`retry_everythingDrained`: messages are replayed in order, once each, with those that came during the backoff', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(failAfter(2), failAfter(3), echo)
    const rpc = startRpc(server.client(retry({ clock, random: () => 1 })), pattern, {
      metadata: server.behave(behaviour),
    })
    await rpc.write({ text: 'a' })
    await rpc.write({ text: 'b' })
    await clock.timerSet()
    const during = rpc.write({ text: 'c' })
    await clock.advance(100)
    await during
    const second = await clock.timerSet()
    expect(texts(at(behaviour, 1))).toEqual(['a', 'b', 'c'])
    await clock.advance(second)
    await rpc.write({ text: 'd' })
    rpc.end()
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(texts(at(behaviour, 2))).toEqual(['a', 'b', 'c', 'd'])
    expect(at(behaviour, 2).events.filter((event) => event === 'half-close')).toHaveLength(1)
  })

  it('half-closes a retry only after the last message', async () => {
    const behaviour = attempts(unavailable, echo)
    const rpc = await runRpc(server.client(quick()), pattern, {
      metadata: server.behave(behaviour),
      requests: text('a', 'b', 'c'),
    })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(at(behaviour, 1).events.slice(0, 4)).toEqual(['request', 'request', 'request', 'half-close'])
  })

  it('`operationsWhileDraining`: what is written while the replay runs comes after it', async () => {
    const many = text(...Array.from({ length: 200 }, (_, i) => String(i)))
    const slow = new Gate()
    const behaviour = attempts(failAfter(100), async (call) => {
      await slow.opened
      await echo(call)
    })
    const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
    for (const message of many.slice(0, 100)) await rpc.write(message)
    while (behaviour.seen.length < 2) await settle(1)
    const rest = Promise.all(many.slice(100).map((message) => rpc.write(message)))
    slow.open()
    await rest
    rpc.end()
    await rpc.done
    expect(texts(at(behaviour, 1))).toEqual(many.map((message) => message.text))
  })

  it('`isReady_whenDrained`: a slow server holds the application back on a retry too', async () => {
    const behaviour = attempts(unavailable, manual)
    const count = 100
    const client = server.client(quick({ maxReplayBytes: 32 * 1024 * 1024 }))
    const rpc = startRpc(client, pattern, { metadata: server.behave(behaviour) })
    while (behaviour.seen.length < 2) await settle(1)
    let written = 0
    const data = 'x'.repeat(128 * 1024)
    const writing = (async () => {
      for (let i = 0; i < count; i++) {
        await rpc.write({ text: String(i), data })
        written++
      }
      rpc.end()
    })()
    let last = -1
    for (let quiet = 0; quiet < 50; quiet++, await settle(1)) {
      if (written !== last) quiet = 0
      last = written
    }
    expect(written).toBeGreaterThan(0)
    expect(written).toBeLessThan(count / 2)
    await at(behaviour, 1).readAll()
    await at(behaviour, 1).write({ n: 1 })
    at(behaviour, 1).end()
    await writing
    await rpc.done
    expect(texts(at(behaviour, 1))).toEqual(Array.from({ length: count }, (_, i) => String(i)))
  })

  it('`closedWhileDraining`: an attempt that fails during its replay makes room for the next', async () => {
    const behaviour = attempts(failAfter(5), failAfter(1), unavailable, echo)
    const rpc = await runRpc(server.client(quick({ maxAttempts: 4 })), pattern, {
      metadata: server.behave(behaviour),
      requests: text('a', 'b', 'c', 'd', 'e'),
    })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(texts(at(behaviour, 3))).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('`cancelWhileDraining`: no attempt goes on after a cancel during the replay', async () => {
    const behaviour = attempts(failAfter(2), manual)
    const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
    await rpc.write({ text: 'a' })
    await rpc.write({ text: 'b' })
    while (behaviour.seen.length < 2) await settle(1)
    rpc.cancel()
    await rpc.done
    await at(behaviour, 1).closed
    expect(rpc.error?.code).toBe(Code.CANCELLED)
    expect(at(behaviour, 1).cancelled).toBe(true)
    expect(behaviour.seen).toHaveLength(2)
  })

  it('`headersRead_closed`, `retry_headersRead_closed`: response headers commit the call', async () => {
    for (const before of [0, 1]) {
      const headersThenFail: Behaviour = (rpc) => {
        rpc.sendHeaders({ early: 'yes' })
        rpc.end(failure(Code.UNAVAILABLE))
      }
      const behaviour = attempts(...Array<Behaviour>(before).fill(unavailable), headersThenFail, echo)
      const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
      await rpc.done
      expect(rpc.headers?.get('early')).toEqual(['yes'])
      expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
      expect(behaviour.seen).toHaveLength(before + 1)
      expect(lastDefeat()).toBe('committed')
    }
  })

  it('`operationsAfterImmediateCommit`: a committed stream goes on', async () => {
    const behaviour = attempts(unavailable, async (rpc) => {
      rpc.sendHeaders({ early: 'yes' })
      await echo(rpc)
    })
    const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
    await rpc.write({ text: 'a' })
    await rpc.headersSeen
    for (const message of text('b', 'c')) await rpc.write(message)
    rpc.end()
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(texts(at(behaviour, 1))).toEqual(['a', 'b', 'c'])
  })

  it('`perRpcBufferLimitExceeded`: what fills the buffer exactly is replayed, one byte more commits', async () => {
    const bytes = (message: TestMessage) => Buffer.byteLength(JSON.stringify(message))
    const messages = text('first', 'second')
    const size = messages.reduce((sum, message) => sum + bytes(message), 0)
    const tries = async (maxReplayBytes: number) => {
      const behaviour = attempts(failAfter(2), echo)
      const rpc = startRpc(server.client(quick({ maxReplayBytes })), pattern, { metadata: server.behave(behaviour) })
      for (const message of messages) await rpc.write(message)
      rpc.end()
      await rpc.done
      return [behaviour.seen.length, rpc.status?.code]
    }
    expect(await tries(size)).toEqual([2, Code.OK])
    expect(await tries(size - 1)).toEqual([1, Code.UNAVAILABLE])
    expect(lastDefeat()).toBe('committed')
  })

  it('counts messages as well as bytes', async () => {
    const tries = async (maxReplayMessages: number) => {
      const behaviour = attempts(failAfter(3), echo)
      const rpc = startRpc(server.client(quick({ maxReplayMessages })), pattern, { metadata: server.behave(behaviour) })
      for (const message of text('a', 'b', 'c')) await rpc.write(message)
      rpc.end()
      await rpc.done
      return behaviour.seen.length
    }
    expect([await tries(3), await tries(2)]).toEqual([2, 1])
  })

  it('a stream too large to replay goes on instead of failing', async () => {
    const behaviour = attempts(echo)
    const many = Array.from({ length: 500 }, (_, i) => ({ text: String(i % 10), data: 'x'.repeat(1000) }))
    const rpc = await runRpc(server.client(quick({ maxReplayBytes: 10_000 })), pattern, {
      metadata: server.behave(behaviour),
      requests: many,
    })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(at(behaviour, 0).requests).toEqual(many)
  })

  it('`perRpcBufferLimitExceededDuringBackoff`: the next attempt starts with everything, and is the last', async () => {
    const clock = new FakeClock()
    const budget = new RetryBudget()
    const behaviour = attempts(failAfter(1), failAfter(2), echo)
    const options = { clock, random: () => 1, maxReplayBytes: 20, maxAttempts: 5, budget }
    const rpc = startRpc(server.client(quick({ ...options, initialBackoffMs: 100 })), pattern, {
      metadata: server.behave(behaviour),
    })
    await rpc.write({ text: 'a' })
    await clock.timerSet()
    const large = rpc.write({ text: 'larger than the buffer' })
    await clock.advance(100)
    await large
    await rpc.done
    expect(texts(at(behaviour, 1))).toEqual(['a', 'larger than the buffer'])
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, attempts: 2 })
    expect(lastDefeat()).toBe('committed')
    expect(budget.buffer.used).toBe(0)
  })

  it('`channelBufferLimitExceeded`: calls of a budget share its buffer, and give it back', async () => {
    const budget = new RetryBudget({ maxBufferedBytes: 100 })
    const client = server.client(quick({ budget }))
    const data = 'x'.repeat(40)
    const one = startRpc(client, pattern, { metadata: server.behave(attempts(manual)) })
    await one.write({ data })
    expect(budget.buffer.used).toBeGreaterThan(40)
    const behaviour = attempts(failAfter(1), echo)
    const two = startRpc(client, pattern, { metadata: server.behave(behaviour) })
    await two.write({ data: `${data}${data}` })
    await two.done
    expect([two.error?.code, behaviour.seen.length, lastDefeat()]).toEqual([Code.UNAVAILABLE, 1, 'committed'])
    one.cancel()
    await one.done
    expect(budget.buffer.used).toBe(0)
    const again = attempts(failAfter(1), echo)
    const three = await runRpc(client, pattern, { metadata: server.behave(again), requests: [{ data }] })
    expect([three.status?.code, again.seen.length, budget.buffer.used]).toEqual([Code.OK, 2, 0])
  })
})

describe.each(singleRequests)('single request, %s', (pattern) => {
  it('with commit: message, headers alone do not commit: they are held back until a message comes', async () => {
    const behaviour = attempts(
      (rpc) => {
        rpc.sendHeaders({ attempt: 'one' })
        rpc.end(failure(Code.UNAVAILABLE))
      },
      async (rpc) => {
        rpc.sendHeaders({ attempt: 'two' })
        await echo(rpc)
      },
    )
    const rpc = await runRpc(server.client(quick({ commit: 'message' })), pattern, {
      metadata: server.behave(behaviour),
    })
    expect(rpc.events.filter((event) => event === 'metadata')).toHaveLength(1)
    expect(rpc.headers?.get('attempt')).toEqual(['two'])
    expect(rpc.status?.code).toBe(Code.OK)
  })

  it('headers commit the call and are shown as they come, though the server waits for what the client does about them', async () => {
    let acted = false
    const behaviour: Behaviour = async (rpc) => {
      rpc.sendHeaders({ subscribed: 'yes' })
      while (!acted) await settle(1)
      await echo(rpc)
    }
    const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
    await rpc.headersSeen
    acted = true
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
  })

  it('headers of the attempt that is given up on are shown', async () => {
    const behaviour: Behaviour = (rpc) => {
      rpc.sendHeaders({ attempt: 'any' })
      rpc.end(failure(Code.UNAVAILABLE))
    }
    const rpc = await runRpc(server.client(quick({ maxAttempts: 2 })), pattern, { metadata: server.behave(behaviour) })
    expect(rpc.headers?.get('attempt')).toEqual(['any'])
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
  })

  it('needs no buffer', async () => {
    const behaviour = attempts(unavailable, echo)
    const budget = new RetryBudget({ maxBufferedBytes: 0 })
    const client = server.client(quick({ budget, maxReplayBytes: 0, maxReplayMessages: 0 }))
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect([rpc.status?.code, behaviour.seen.length]).toEqual([Code.OK, 2])
  })
})

describe.each(responseStreams)('response stream, %s', (pattern) => {
  it('a message commits: nothing is delivered twice, and the failure after it is final', async () => {
    const behaviour = attempts(
      unavailable,
      async (rpc) => {
        await rpc.write({ n: 0 })
        await rpc.write({ n: 1 })
        rpc.end(failure(Code.UNAVAILABLE))
      },
      echo,
    )
    const rpc = await runRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
    expect(rpc.messages).toEqual([{ n: 0 }, { n: 1 }])
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, attempts: 2 })
    expect(behaviour.seen).toHaveLength(2)
    expect(lastDefeat()).toBe('committed')
  })

  it('`messageAvailable`: a reader that waited through a failed attempt gets the messages of the next', async () => {
    const behaviour = attempts(unavailable, echo)
    const requests = [{ text: 'a', n: 5 }]
    const rpc = await runRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour), requests })
    expect(rpc.messages).toEqual((await runRpc(server.client(), pattern, { requests })).messages)
  })

  it('`headersRead_cancel`, `retry_headersRead_cancel`: a cancel after the commit ends the attempt on the server', async () => {
    for (const before of [0, 1]) {
      const behaviour = attempts(...Array<Behaviour>(before).fill(unavailable), async (rpc) => {
        await rpc.write({ n: 0 })
      })
      const rpc = startRpc(server.client(quick()), pattern, { metadata: server.behave(behaviour) })
      await rpc.messageSeen
      rpc.cancel()
      await rpc.done
      await at(behaviour, before).closed
      expect(at(behaviour, before).cancelled).toBe(true)
      expect(rpc.error?.code).toBe(Code.CANCELLED)
      expect(behaviour.seen).toHaveLength(before + 1)
    }
  })
})

describe('response metadata', () => {
  it('`notAdd0PrevRetryAttemptsToRespHeaders`', async () => {
    const rpc = await runRpc(server.client(quick()), 'unary', { metadata: server.behave(attempts(echo)) })
    expect(rpc.headers?.get('grpc-previous-rpc-attempts')).toEqual([])
  })

  it('`addPrevRetryAttemptsToRespHeaders`: ours replaces what a server sends', async () => {
    const behaviour = attempts(unavailable, async (rpc) => {
      rpc.sendHeaders(metadataOf({ 'grpc-previous-rpc-attempts': '3' }))
      await echo(rpc)
    })
    const rpc = await runRpc(server.client(quick()), 'unary', { metadata: server.behave(behaviour) })
    expect(rpc.headers?.get('grpc-previous-rpc-attempts')).toEqual(['1'])
  })

  it('tells the number of retries there were', async () => {
    const behaviour = attempts(unavailable, unavailable, unavailable, echo)
    const rpc = await runRpc(server.client(quick({ maxAttempts: 4 })), 'unary', { metadata: server.behave(behaviour) })
    expect(rpc.headers?.get('grpc-previous-rpc-attempts')).toEqual(['3'])
  })
})

describe('the end of a call is the end of its attempts', () => {
  it('`cancel_closed`, `retry_cancel_closed`: a failure that comes after a cancel is not retried', async () => {
    for (const before of [0, 1]) {
      const behaviour = attempts(...Array<Behaviour>(before).fill(unavailable), manual, echo)
      const rpc = startRpc(server.client(quick()), 'unary', { metadata: server.behave(behaviour) })
      while (behaviour.seen.length <= before) await settle(1)
      rpc.cancel()
      at(behaviour, before).end(failure(Code.UNAVAILABLE))
      await rpc.done
      await settle(20)
      expect(rpc.error?.code).toBe(Code.CANCELLED)
      expect(behaviour.seen).toHaveLength(before + 1)
    }
  })

  it('`unretriableClosed_cancel`, `retry_unretriableClosed_cancel`: a cancel after the end changes nothing', async () => {
    for (const before of [0, 1]) {
      const behaviour = attempts(...Array<Behaviour>(before).fill(unavailable), fail(Code.ABORTED), echo)
      const rpc = await runRpc(server.client(quick()), 'unary', { metadata: server.behave(behaviour) })
      const events = [...rpc.events]
      rpc.cancel()
      await settle(20)
      expect(rpc.error?.code).toBe(Code.ABORTED)
      expect(rpc.events).toEqual(events)
      expect(behaviour.seen).toHaveLength(before + 1)
    }
  })

  it('`cancelWhileRetryStart`: a cancel from within the start of a retry', async () => {
    const behaviour = attempts(unavailable, manual)
    const holder: { cancel?: () => void } = {}
    let starts = 0
    const client = server.client(quick(), (_call, next) => {
      if (++starts === 2) holder.cancel?.()
      return next()
    })
    const rpc = startRpc(client, 'bidi', { metadata: server.behave(behaviour) })
    holder.cancel = () => rpc.cancel()
    await rpc.done
    await settle(20)
    expect(rpc.error?.code).toBe(Code.CANCELLED)
    expect(starts).toBe(2)
    expect(behaviour.seen).toHaveLength(1)
  })

  it('a cancel in the moment between failure and backoff', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(unavailable)
    const holder: { cancel?: () => void } = {}
    const client = server.client(retry({ clock, onRetry: () => holder.cancel?.() }))
    const rpc = startRpc(client, 'unary', { metadata: server.behave(behaviour) })
    holder.cancel = () => rpc.cancel()
    await rpc.done
    expect(rpc.error?.code).toBe(Code.CANCELLED)
    expect(clock.pending).toBe(0)
    expect(behaviour.seen).toHaveLength(1)
  })
})
