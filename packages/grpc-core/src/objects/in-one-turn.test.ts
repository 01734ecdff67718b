import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { status as Code, credentials } from '@grpc/grpc-js'
import { type ClientRpc, startRpc, TestClient } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClientInterceptor, type ClientInterceptorLike, clientInterceptors, type Interceptor } from '../index.ts'

/** A server with an event loop of its own: sends headers, as many messages as it is asked for, and UNAVAILABLE. */
const SERVER = `
  const { Metadata, Server, ServerCredentials, status } = require('@grpc/grpc-js')
  const { parentPort } = require('node:worker_threads')
  const requestDeserialize = (bytes) => JSON.parse(bytes)
  const responseSerialize = (message) => Buffer.from(JSON.stringify(message))
  const method = { path: '/grpcstack.testing.Test/ServerStream', requestStream: false, responseStream: true }
  const server = new Server()
  server.addService({ list: { ...method, requestDeserialize, responseSerialize } }, {
    list(call) {
      call.sendMetadata(new Metadata())
      for (let n = 0; n < call.request.n; n++) call.write({ n })
      call.emit('error', { code: status.UNAVAILABLE, details: 'after the messages', metadata: new Metadata() })
    },
  })
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => parentPort.postMessage(port))
`

let worker: Worker
let port: number
beforeAll(async () => {
  worker = new Worker(SERVER, { eval: true })
  port = ((await once(worker, 'message')) as [number])[0]
})
afterAll(() => worker.terminate())

const CALLS = 8

/** While it blocks the event loop, all that the server sends arrives, to be seen in one turn. */
async function blockUntilDone(rpc: ClientRpc): Promise<void> {
  while (!rpc.isDone) {
    const end = performance.now() + 5
    while (performance.now() < end);
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How many messages each call got. */
async function messagesOf(n: number, interceptors: readonly ClientInterceptorLike[]): Promise<readonly number[]> {
  const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
    interceptors: clientInterceptors(...interceptors),
  })
  const counts: number[] = []
  for (let call = 0; call < CALLS; call++) {
    const rpc = startRpc(client, 'serverStream', { requests: [{ n }] })
    await blockUntilDone(rpc)
    expect(rpc.status?.code).toBe(Code.UNAVAILABLE)
    counts.push(rpc.messages.length)
  }
  client.close()
  return counts
}

async function* each<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) yield message
}
const pause = () => new Promise((resolve) => setTimeout(resolve, 20))

const passing: ClientInterceptor = {
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
}
const afterHeaders: ClientInterceptor = {
  async interceptUnaryStream(continuation, details, request) {
    const call = continuation(details, request)
    await call.headers
    return call
  },
}
const afterTheEnd: ClientInterceptor = {
  async interceptUnaryStream(continuation, details, request) {
    const call = continuation(details, request)
    await call.status
    await pause()
    return call
  },
}
const rebuilding: ClientInterceptor = {
  interceptUnaryStream: (continuation, details, request) => each(continuation(details, request)),
}
const rebuildingLate: ClientInterceptor = {
  async interceptUnaryStream(continuation, details, request) {
    const call = continuation(details, request)
    await pause()
    return each(call)
  },
}
const waiting: Interceptor = async (_call, next) => await next()

const stacks: Record<string, readonly ClientInterceptorLike[]> = {
  'returns its call at once': [passing],
  'returns its call when headers have come': [afterHeaders],
  'returns its call when it has ended': [afterTheEnd],
  'returns an iterable of its own': [rebuilding],
  'returns an iterable of its own late': [rebuildingLate],
  'stands among others': [waiting, rebuilding, afterHeaders, waiting, passing],
}

describe('headers, messages and an error that arrive in one turn of the event loop', () => {
  describe.each([2, 12])('%i messages', (n) => {
    it.each(Object.entries(stacks))('reach the application through an object that %s', async (_, stack) => {
      const bare = await messagesOf(n, [])
      expect(bare).toEqual(Array(CALLS).fill(n))
      expect(await messagesOf(n, stack)).toEqual(bare)
    })
  })
})
