import { status as Code } from '@grpc/grpc-js'
import { endWith, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { metrics } from '../metrics.ts'
import { inMemory } from './in-memory.ts'

it('a snapshot is empty before the first call, and does not change after', async () => {
  const recorder = inMemory()
  const empty = recorder.snapshot()
  expect(empty).toEqual({ requests: {}, errors: {}, averageLatencyMs: {}, byCode: {}, inFlight: {}, methods: [] })
  const server = await startTestServer()
  try {
    const client = server.client(metrics({ recorder }))
    await runRpc(client, 'unary')
    const one = recorder.snapshot()
    const copy = structuredClone(one)
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.INTERNAL })) })
    expect(one).toEqual(copy)
    expect(empty.requests).toEqual({})
    expect(recorder.snapshot().requests).toEqual({ '/grpcstack.testing.Test/Unary': 2 })
  } finally {
    await server.stop()
  }
})

it('a code gRPC does not know is UNKNOWN, so that a peer cannot make series', () => {
  const recorder = inMemory()
  const method = recorder.method({
    side: 'client',
    per: 'call',
    path: '/a/A',
    service: 'a',
    name: 'A',
    type: 'unary',
    target: undefined,
  })
  for (const code of [99, 4711, -1]) method?.ended({} as never, { code: code as Code }, 1, undefined)
  expect(recorder.snapshot().byCode['/a/A']).toEqual({ UNKNOWN: 3 })
})

it('has percentiles and buckets of its own choosing', () => {
  const recorder = inMemory({ bucketsMs: [10, 20] })
  const method = recorder.method({
    side: 'server',
    per: 'call',
    path: '/a/A',
    service: 'a',
    name: 'A',
    type: 'unary',
    target: undefined,
  })
  for (let ms = 1; ms <= 20; ms++) method?.ended({} as never, { code: Code.OK }, ms, undefined)
  expect(recorder.snapshot().methods[0]?.latency).toEqual({
    count: 20,
    sumMs: 210,
    averageMs: 10.5,
    minMs: 1,
    maxMs: 20,
    p50Ms: 10,
    p90Ms: 18,
    p99Ms: expect.closeTo(19.8),
    buckets: [
      { leMs: 10, count: 10 },
      { leMs: 20, count: 20 },
      { leMs: Number.POSITIVE_INFINITY, count: 20 },
    ],
  })
})

it.each([
  [{ buckets: [1] }, 'inMemory: unknown option "buckets"'],
  [{ bucketsMs: [2, 1] }, 'inMemory: option "bucketsMs" must be a list of ascending positive numbers'],
  [{ maxMethods: 0 }, 'inMemory: option "maxMethods" must be an integer ≥ 1, got 0'],
])('inMemory(%j)', (options, message) => {
  expect(() => inMemory(options as never)).toThrow(TypeError)
  expect(() => inMemory(options as never)).toThrow(message)
})
