import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { openGrpcJs } from './grpc-js-peer.ts'
import { type LoadResult, type Pace, runLoad } from './load.ts'
import { Echo, type Payload } from './service.ts'
import type { BenchClient } from './variant.ts'

type Answer = () => void

/** What a load of unary calls comes to on a server that answers when `handle` does. */
async function load(calls: number, pace: Pace, handle: (answer: Answer) => void): Promise<LoadResult> {
  const server = new Server()
  const unary = (call: ServerUnaryCall<Payload, Payload>, callback: sendUnaryData<Payload>): void =>
    handle(() => callback(null, call.request))
  server.addService({ unary: Echo.unary }, { unary } as UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const client = openGrpcJs(port)
  await client.unary(false)
  try {
    return await runLoad('unary', calls, client, () => client, pace)
  } finally {
    client.close()
    server.forceShutdown()
  }
}

it('with a rate, calls begin however many are unanswered, and a stall shows in those that were due meanwhile', async () => {
  const held: Answer[] = []
  let arrived = 0
  // From the 20th on none is answered until a hundred wait.
  const result = await load(200, { rate: 500 }, (answer) => {
    if (++arrived < 20 || held.length === 100) answer()
    else if (held.push(answer) === 100) for (const one of held) one()
  })
  expect(held).toHaveLength(100)
  // The first of them waited for 99 more, 2 ms apart, the second for 98.
  expect(result.p99Ms).toBeGreaterThan(190)
  expect(result.p999Ms).toBeGreaterThanOrEqual(result.p99Ms)
  expect(result.operations).toBe(200)
})

it('with a rate, no call begins before its time, and what delays its beginning counts', async () => {
  const began: number[] = []
  // Ends at once, but for the 20th, during which none of the 150 that are due in these 300 ms can begin.
  const unary = async (): Promise<void> => {
    began.push(performance.now())
    const until = performance.now() + (began.length === 20 ? 300 : 0)
    while (performance.now() < until);
  }
  const client = { unary } as Partial<BenchClient> as BenchClient
  const from = performance.now()
  const result = await runLoad('unary', 200, client, () => client, { rate: 500 })
  for (const [i, at] of began.entries()) expect(at - from).toBeGreaterThanOrEqual(i * 2)
  expect(began).toHaveLength(200)
  expect(result.p50Ms).toBeGreaterThan(90)
  expect(result.p99Ms).toBeGreaterThan(280)
})

it('without a rate, calls wait for earlier ones', async () => {
  let arrived = 0
  let unanswered = 0
  let most = 0
  await load(50, { inFlight: 3 }, (answer) => {
    most = Math.max(most, ++unanswered)
    setImmediate(() => {
      unanswered--
      answer()
    })
    arrived++
  })
  expect(arrived).toBe(51)
  expect(most).toBeLessThanOrEqual(3)
})
