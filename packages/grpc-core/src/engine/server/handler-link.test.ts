import type { EventEmitter } from 'node:events'
import { Metadata } from '@grpc/grpc-js'
import { patterns, type RawServerCall, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { until } from '../../../test/observing.ts'
import type { Interceptor } from '../../index.ts'

const shortened = Date.now() + 40_000
const shortening: Interceptor = (call, next) => {
  call.deadline = shortened
  return next()
}

const facts = (call: RawServerCall): unknown[] => [
  typeof call.getPeer(), // grpc-js forgets it with the stream
  call.getHost(),
  call.getDeadline(),
  call.getAuthContext(),
  call.getMetricsRecorder(),
  call.getPath(),
]

it.each(patterns)(
  'answers a handler that asks after the end of its RPC, and sends nothing more: %s',
  async (pattern) => {
    let call: RawServerCall | undefined
    let before: unknown[] = []
    let over = false
    await using server = await startTestServer({
      interceptors: [shortening],
      behaviour: async (rpc) => {
        call = rpc.call
        before = facts(call)
        const emitter: EventEmitter = call
        emitter.once('cancelled', () => {
          over = true
        })
        await rpc.readAll()
        await rpc.write({ text: 'x' })
        rpc.end()
      },
    })
    const options = { deadline: Date.now() + 50_000 }
    const client = server.client()
    const rpc = await runRpc(client, pattern, { options })
    await until(() => over, 'the handler has heard the last event')
    await new Promise((resolve) => setImmediate(resolve))
    expect(before[2]).toBe(shortened)
    expect(call && facts(call)).toEqual(before)
    call?.sendMetadata(new Metadata())
    expect(rpc.error).toBeUndefined()
    // The connection took no harm.
    expect((await runRpc(client, pattern, { options })).error).toBeUndefined()
  },
)
