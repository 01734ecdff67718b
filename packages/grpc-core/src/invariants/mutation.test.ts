import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import {
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestMessage,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { ClientCall, Interceptor, Next, ServerCall, Status } from '../index.ts'

const whole = { requests: [Object.freeze({ text: 'a', n: 2 })] }

const callCredentials = credentials.createFromMetadataGenerator((_params, callback) =>
  callback(null, metadataOf({ token: 'secret' })),
)

/** Does all a client interceptor can do to a call, on each attempt. */
const meddling = async (call: ClientCall, next: Next): Promise<Status> => {
  call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  call.metadata.set('extra', '1')
  call.metadata.remove('mine')
  call.metadata.setOptions({ waitForReady: true })
  call.deadline = Date.now() + 5000
  call.waitForReady = true
  call.onRequest((message) => ({ ...(message as TestMessage), text: 'changed' }))
  let status = await next()
  if (status.code === Code.UNAVAILABLE) {
    call.metadata = metadataOf({ 'all-new': '1' })
    status = await next()
  }
  return status
}

describe('invariant 8: the caller’s metadata, options and messages are never mutated', () => {
  // reference: deviation 9
  it.each(patterns)('whatever client interceptors change: %s', async (pattern) => {
    const metadata = new Metadata({ idempotentRequest: false })
    metadata.set('mine', 'yes')
    metadata.set('mine-bin', Buffer.from([1, 2]))
    const before = JSON.stringify([metadata.toJSON(), metadata.getOptions()])
    const options = Object.freeze({ deadline: Date.now() + 60_000, extra: Symbol('mine') })
    let failures = 1
    await using server = await startTestServer({
      interceptors: [(_call, next) => (failures-- > 0 ? { code: Code.UNAVAILABLE } : next())],
    })
    const rpc = await runRpc(server.client(meddling, meddling), pattern, { ...whole, metadata, options })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls[0]?.requests[0]?.text).toBe('changed')
    expect(Object.keys(server.calls[0]?.metadata.getMap() ?? {})).toEqual(expect.arrayContaining(['all-new']))
    expect(JSON.stringify([metadata.toJSON(), metadata.getOptions()])).toBe(before)
    expect(Object.keys(options)).toEqual(['deadline', 'extra'])
    expect(whole.requests).toEqual([{ text: 'a', n: 2 }])
  })

  it('the same metadata object serves two calls at once, each with changes of its own', async () => {
    const metadata = metadataOf({ mine: 'yes' })
    let n = 0
    const numbering = (call: ClientCall, next: Next): Promise<Status> => {
      call.metadata.set('number', String(++n))
      return next()
    }
    await using server = await startTestServer()
    const client = server.client(numbering)
    await Promise.all([1, 2, 3].map(() => runRpc(client, 'unary', { metadata })))
    expect(server.calls.map((call) => call.metadata.get('number')[0]).sort()).toEqual(['1', '2', '3'])
    expect(metadata.get('number')).toEqual([])
  })

  it('call credentials of an interceptor stay with the call', async () => {
    const options = Object.freeze({})
    const authenticating = (call: ClientCall, next: Next): Promise<Status> => {
      call.credentials = callCredentials
      return next()
    }
    await using server = await startTestServer()
    // grpc-js sends call credentials in plaintext to no one, so the call fails; its options must not tell.
    await startRpc(server.client(authenticating), 'unary', { options }).done
    expect(Reflect.ownKeys(options)).toEqual([])
  })

  it.each(patterns)('on a server, the handler’s metadata, trailers and messages: %s', async (pattern) => {
    const headers = metadataOf({ 'from-handler': '1' })
    const trailers = metadataOf({ 'from-handler': '2' })
    const answer = Object.freeze({ text: 'answer' })
    const meddling = (call: ServerCall, next: Next): Promise<Status> => {
      call.responseMetadata.set('from-interceptor', '1')
      call.trailers.set('from-interceptor', '2')
      call.onResponseMetadata((metadata) => metadata.set('tapped', '1'))
      call.onResponse((message) => ({ ...(message as TestMessage), data: 'added' }))
      return next()
    }
    await using server = await startTestServer({
      interceptors: [meddling],
      behaviour: async (rpc) => {
        rpc.sendHeaders(headers)
        await rpc.readAll()
        await rpc.write(answer)
        rpc.end({ metadata: trailers })
      },
    })
    const rpc = await runRpc(server.client(), pattern)
    expect(rpc.messages).toEqual([{ text: 'answer', data: 'added' }])
    expect(rpc.headers?.getMap()).toMatchObject({ 'from-handler': '1', 'from-interceptor': '1', tapped: '1' })
    expect(rpc.status?.metadata.getMap()).toMatchObject({ 'from-handler': '2', 'from-interceptor': '2' })
    expect(headers.getMap()).toEqual({ 'from-handler': '1' })
    expect(trailers.getMap()).toEqual({ 'from-handler': '2' })
  })

  it('a status that an interceptor returns again and again is not changed', async () => {
    const refusal: Status = Object.freeze({ code: Code.ABORTED, metadata: metadataOf({ why: 'because' }) })
    const stamping = (call: ServerCall, next: Next): Promise<Status> => {
      call.trailers.set('stamp', '1')
      return next()
    }
    const refusing: Interceptor = () => refusal
    await using server = await startTestServer({ interceptors: [stamping, refusing] })
    for (let n = 0; n < 2; n++) {
      const rpc = await runRpc(server.client(), 'unary')
      expect(rpc.status?.metadata.getMap()).toMatchObject({ why: 'because', stamp: '1' })
    }
    expect(refusal.metadata?.getMap()).toEqual({ why: 'because' })
  })

  it('the list of interceptors given to a stub or a channel', async () => {
    await using server = await startTestServer()
    const own = Object.freeze([...server.channel((_call, next) => next()).interceptors])
    const client = server.channel((_call, next) => next()).client(TestClient)
    await runRpc(client, 'unary', { options: { interceptors: own as never } })
    expect(own.length).toBe(1)
  })
})
