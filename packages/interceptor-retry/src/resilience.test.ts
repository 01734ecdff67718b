import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import { clientInterceptors } from '@grpc-stack/grpc-core'
import { patterns, settle, startRpc, TestClient, type TestMessage } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { ServerProcess } from '../test/server-process.ts'
import { type RetryOptions, retry } from './index.ts'

const servers: ServerProcess[] = []
const clients: TestClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await Promise.all(servers.splice(0).map((server) => server.kill()))
})

async function start(port?: number): Promise<ServerProcess> {
  const server = await ServerProcess.start(port)
  servers.push(server)
  return server
}

/** Patient enough for a server that needs a moment to come back. */
function connect(server: ServerProcess, options: RetryOptions = {}): TestClient {
  const patient = { maxAttempts: 200, initialBackoffMs: 20, maxBackoffMs: 50, jitter: 'none', budget: false } as const
  const client = new TestClient(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 20,
    'grpc.min_reconnect_backoff_ms': 20,
    'grpc.max_reconnect_backoff_ms': 50,
    interceptors: clientInterceptors(retry({ ...patient, ...options })),
  })
  clients.push(client)
  return client
}

function play(what: string): Metadata {
  const metadata = new Metadata()
  metadata.set('play', what)
  return metadata
}

const messages = (...texts: string[]): TestMessage[] => texts.map((text) => ({ text }))
const hasRequestStream = (pattern: string) => pattern === 'clientStream' || pattern === 'bidi'

describe.each(patterns)('a server process, %s', (pattern) => {
  it('is killed in the middle of a call and started again: the call succeeds, once, with all its messages in order', async () => {
    const first = await start()
    const streams = hasRequestStream(pattern)
    const rpc = startRpc(connect(first), pattern, {
      metadata: play('hang at first'),
      ...(!streams && { requests: [{ text: 'a', n: 3 }] }),
    })
    if (streams) {
      for (const message of messages('a', 'b', 'c')) await rpc.write(message)
      await first.until(() => first.texts.length === 3)
    }
    await first.until(() => first.attempts.length === 1)
    await first.kill()
    const second = await start(first.port)
    if (streams) {
      await rpc.write({ text: 'd' })
      rpc.end()
    }
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    const texts = {
      unary: ['a'],
      clientStream: ['abcd'],
      serverStream: [undefined, undefined, undefined],
      bidi: ['a', 'b', 'c', 'd'],
    }
    expect(rpc.messages.map(({ text }) => text)).toEqual(texts[pattern])
    if (streams) {
      await second.until(() => second.texts.length >= 4)
      expect(second.texts).toEqual(['a', 'b', 'c', 'd'])
    }
    await second.until(() => second.attempts.length >= 1)
    expect(second.attempts).toHaveLength(1)
    expect(Number(second.attempts[0]?.[0])).toBeGreaterThan(0)
  })

  it('is down when the call is made and comes up later', async () => {
    const first = await start()
    const client = connect(first)
    await first.kill()
    const rpc = startRpc(client, pattern, { requests: [{ text: 'a', n: 3 }] })
    const second = await start(first.port)
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages).toHaveLength(pattern === 'serverStream' ? 3 : 1)
    await second.until(() => second.attempts.length >= 1)
    expect(second.attempts).toHaveLength(1)
  })

  it('half-closes its connections in the middle of a call: the call is made again on a new one', async () => {
    const server = await start()
    const requests = [{ text: 'a', n: 3 }]
    const rpc = startRpc(connect(server), pattern, { metadata: play('hang at first'), requests })
    await server.until(() => server.attempts.length === 1)
    server.send('half-close')
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages).toHaveLength(pattern === 'serverStream' ? 3 : 1)
    await server.until(() => server.attempts.length >= 2)
    expect(server.attempts).toEqual([[], ['1']])
  })

  it('drains: a call that runs ends there, the next one is made to its successor', async () => {
    const first = await start()
    const client = connect(first)
    const running = startRpc(client, 'bidi')
    await running.write({ text: 'a' })
    await running.messageSeen
    first.send('drain')
    const rpc = startRpc(client, pattern, { requests: [{ text: 'b', n: 1 }] })
    running.end()
    await running.done
    expect(running.status?.code).toBe(Code.OK)
    await first.until(() => first.told.some(({ event }) => event === 'drained'))
    await first.kill()
    await start(first.port)
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages).toHaveLength(1)
  })

  it('hangs for a moment: nothing is repeated, nothing is lost', async () => {
    const server = await start()
    const client = connect(server)
    await startRpc(client, 'unary', { requests: [{}] }).done
    server.signal('SIGSTOP')
    const rpc = startRpc(client, pattern, { requests: [{ text: 'a', n: 3 }] })
    await settle(50)
    expect(rpc.isDone).toBe(false)
    server.signal('SIGCONT')
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    await server.until(() => server.attempts.length >= 2)
    expect(server.attempts).toEqual([[], []])
  })

  it('hangs longer than an attempt may take: an idempotent call is made again', async () => {
    const server = await start()
    const client = connect(server, { perAttemptTimeoutMs: 100, idempotent: '*' })
    await startRpc(client, 'unary', { requests: [{}] }).done
    server.signal('SIGSTOP')
    let retries = 0
    const watching = connect(server, { perAttemptTimeoutMs: 100, idempotent: '*', onRetry: () => retries++ })
    const rpc = startRpc(watching, pattern, { requests: [{ text: 'a', n: 3 }] })
    while (retries < 2) await settle(1)
    server.signal('SIGCONT')
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages).toHaveLength(pattern === 'serverStream' ? 3 : 1)
  })
})

describe('a server process', () => {
  it('is killed in the middle of a response stream: what came is kept, nothing comes twice, the error is final', async () => {
    const first = await start()
    const client = connect(first)
    const rpc = startRpc(client, 'serverStream', { metadata: play('hang after two'), requests: [{ n: 5 }] })
    while (rpc.messages.length < 2) await settle(1)
    await first.kill()
    const second = await start(first.port)
    await rpc.done
    expect(rpc.messages).toEqual([{ n: 0 }, { n: 1 }])
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
    expect((await startRpc(client, 'unary', { requests: [{ text: 'next' }] }).done).status?.code).toBe(Code.OK)
    await second.until(() => second.attempts.length >= 1)
    expect(second.attempts).toHaveLength(1)
  })

  it('is killed in the middle of an echo: every message is echoed at most once, and none twice', async () => {
    const first = await start()
    const rpc = startRpc(connect(first), 'bidi')
    for (const message of messages('a', 'b', 'c')) await rpc.write(message)
    while (rpc.messages.length < 3) await settle(1)
    await first.kill()
    await start(first.port)
    await rpc.done
    expect(rpc.messages.map(({ text }) => text)).toEqual(['a', 'b', 'c'])
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
  })

  it('hangs in the middle of a stream both ways: the stream goes on where it was', async () => {
    const server = await start()
    const rpc = startRpc(connect(server), 'bidi')
    await rpc.write({ text: '0' })
    await rpc.messageSeen
    server.signal('SIGSTOP')
    const writing = (async () => {
      for (let i = 1; i < 50; i++) await rpc.write({ text: String(i) })
      rpc.end()
    })()
    await settle(50)
    server.signal('SIGCONT')
    await writing
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
    await server.until(() => server.attempts.length >= 1)
    expect(server.attempts).toEqual([[]])
  })

  it('that stays away is given up on when the attempts are used up', async () => {
    const server = await start()
    const client = connect(server, { maxAttempts: 4 })
    await server.kill()
    const rpc = await startRpc(client, 'clientStream', { requests: messages('a', 'b') }).done
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, attempts: 4 })
  })
})
