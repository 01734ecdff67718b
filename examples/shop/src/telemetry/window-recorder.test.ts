import { endWith, manual, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { describe, expect, it } from 'vitest'
import { windowRecorder } from './window-recorder.ts'

describe('windowRecorder', () => {
  it('counts what happened since the last time, and messages since ever', async () => {
    const recorder = windowRecorder()
    await using server = await startTestServer({ interceptors: [metrics({ recorder })] })
    const client = server.client()
    await runRpc(client, 'serverStream', { requests: [{ n: 3 }] })
    server.behaviour = endWith({ code: 5, details: '' })
    await runRpc(client, 'serverStream')

    const [window] = recorder.take()
    expect(window).toMatchObject({
      side: 'server',
      path: '/grpcstack.testing.Test/ServerStream',
      type: 'server_stream',
      started: 2,
      ended: { OK: 1, NOT_FOUND: 1 },
      inFlight: 0,
      messagesSent: 3,
    })
    expect(window?.latenciesMs).toHaveLength(2)
    expect(recorder.take()[0]).toMatchObject({ started: 0, ended: {}, latenciesMs: [], messagesSent: 3 })
  })
  it('knows the responses of the calls in progress, on both sides alike', async () => {
    const [atServer, atClient] = [windowRecorder(), windowRecorder()]
    await using server = await startTestServer({ interceptors: [metrics({ recorder: atServer })] })
    const client = server.client(metrics({ recorder: atClient }))
    const rpc = startRpc(client, 'serverStream', { metadata: server.behave(manual) })
    const handler = await server.received(0)
    for (const text of ['a', 'b']) await handler.write({ text })
    await expect.poll(() => rpc.messages).toHaveLength(2)
    for (const recorder of [atServer, atClient]) {
      expect(recorder.take()[0]).toMatchObject({ inFlight: 1, responsesInFlight: 2 })
    }
    rpc.cancel()
    await rpc.done
    await handler.closed
    await expect.poll(() => atServer.take()[0]).toMatchObject({ inFlight: 0, responsesInFlight: 0 })
    expect(atClient.take()[0]).toMatchObject({ inFlight: 0, responsesInFlight: 0 })
  })
})
