import { patterns, runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { CallOption, type ClientCall, type Next, type Status } from '../index.ts'

const speed = new CallOption<'fast' | 'slow'>('speed')
const limit = new CallOption<number>('speed') // the same name is another key

describe('a CallOption', () => {
  const seen: unknown[] = []
  const reading = (call: ClientCall, next: Next): Promise<Status> => {
    seen.push([call.option(speed), call.option(limit)])
    return next()
  }

  it.each(patterns)('travels in call options, through any stub: %s', async (pattern) => {
    await using server = await startTestServer()
    for (const client of [server.client(reading), server.channel(reading).client(TestClient)]) {
      seen.length = 0
      await runRpc(client, pattern, { options: { ...speed.with('slow'), ...limit.with(0) } })
      await runRpc(client, pattern, { options: { ...speed.with('fast'), deadline: Date.now() + 60_000 } })
      await runRpc(client, pattern)
      expect(seen).toEqual([
        ['slow', 0],
        ['fast', undefined],
        [undefined, undefined],
      ])
    }
  })

  it('can be read from call options by anybody who has the key', () => {
    expect(speed.in(speed.with('slow'))).toBe('slow')
    expect(speed.in({ speed: 'slow' })).toBeUndefined()
  })
})
