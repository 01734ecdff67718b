import { promisify } from 'node:util'
import { type Client, status as Code } from '@grpc/grpc-js'
import { manual, patterns, runRpc, startRpc, startTestServer, unserializable } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { createClient, type Interceptor, type Status } from '../index.ts'

const passing: Interceptor = (_call, next) => next()

const connected = (client: Client): Promise<void> =>
  promisify(client.waitForReady.bind(client))(Number.POSITIVE_INFINITY)

it.each(patterns)('a call that is cancelled in the tick of its start is over for its server: %s', async (pattern) => {
  await using server = await startTestServer({ behaviour: manual })
  const client = server.client(passing)
  await connected(client)
  for (let i = 0; i < 20; i++) {
    const rpc = startRpc(client, pattern, { requests: [{ text: 'a' }] })
    rpc.cancel()
    expect((await rpc.done).status).toMatchObject({ code: Code.CANCELLED, details: 'Cancelled on client' })
  }
  // Of a request that was reset early, a server may hear nothing.
  await runRpc(client, 'unary', { metadata: server.behave((rpc) => rpc.end()) })
  await Promise.all(server.calls.map(({ closed }) => closed))
})

it.each(patterns)('so is one of a channel without interceptors: %s', async (pattern) => {
  await using server = await startTestServer({ behaviour: manual })
  const client = createClient(server.definition, server.channel())
  const finish = { metadata: server.behave((rpc) => rpc.end()) }
  await client.unary({ text: 'connects' }, finish)
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController()
    const request = pattern === 'unary' || pattern === 'serverStream' ? { text: 'a' } : [{ text: 'a' }]
    const call = (client[pattern] as Method)(request, { signal: controller.signal })
    controller.abort()
    expect(await call.status).toMatchObject({ code: Code.CANCELLED, details: 'Cancelled by a signal' })
  }
  await client.unary({ text: 'after them' }, finish)
  await Promise.all(server.calls.map(({ closed }) => closed))
})

it.each(['clientStream', 'bidi'] as const)(
  'so is one whose first request, written before an interceptor has begun it, does not serialize: %s',
  async (pattern) => {
    await using server = await startTestServer({ behaviour: manual })
    const client = server.client(async (_call, next) => {
      await Promise.resolve()
      return next()
    })
    await connected(client)
    for (let i = 0; i < 20; i++) {
      const { status } = await runRpc(client, pattern, { requests: [unserializable, { text: 'behind it' }] })
      expect(status?.code).toBe(Code.INTERNAL)
    }
    await runRpc(client, 'unary', { metadata: server.behave((rpc) => rpc.end()) })
    await Promise.all(server.calls.map(({ closed }) => closed))
    expect(server.calls.flatMap(({ requests }) => requests).filter(({ text }) => text === 'behind it')).toEqual([])
  },
)

/** What the four have in common here. */
type Method = (request: unknown, options: { signal: AbortSignal }) => { status: Promise<Status> }
