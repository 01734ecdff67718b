import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  FakeClock,
  failing,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attempts, fail, pushedBack, unavailable } from '../test/harness.ts'
import { type GiveUpReason, RetryBudget, type RetryOptions, retry } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const emptyBudget = (): RetryBudget => new RetryBudget({ ratio: 0, minRetriesPerSecond: 0 })

/** By its type, no reason can be missing. */
const reasons: Record<GiveUpReason, (options: RetryOptions) => Promise<unknown>> = {
  status: (options) => call(retry(options), fail(Code.NOT_FOUND)),
  refused: (options) => call([retry(options), failing(1, Code.UNAVAILABLE)], unavailable),
  pushback: (options) => call(retry(options), pushedBack('-1')),
  committed: (options) =>
    call(retry(options), async (rpc) => {
      rpc.sendHeaders({})
      await settle()
      rpc.end({ code: Code.UNAVAILABLE })
    }),
  attempts: (options) => call(retry({ ...options, maxAttempts: 2, initialBackoffMs: 0 }), unavailable),
  deadline: (options) => call(retry(options), pushedBack('60000'), Date.now() + 5000),
  budget: (options) => call(retry({ ...options, budget: emptyBudget() }), unavailable),
  cancelled: async (options) => {
    const clock = new FakeClock()
    const client = server.client(retry({ ...options, clock }))
    const rpc = startRpc(client, 'unary', { metadata: server.behave(attempts(unavailable)) })
    await clock.timerSet()
    rpc.cancel()
    await rpc.done
    await settle()
  },
  error: (options) =>
    call(
      retry({
        ...options,
        retryIf: () => {
          throw new Error('bad rule')
        },
      }),
      unavailable,
    ),
}

type Stack = ReturnType<typeof retry> | ReturnType<typeof retry>[]

async function call(stack: Stack, behaviour: Behaviour, deadline?: number): Promise<void> {
  const client = server.client(...[stack].flat())
  const settings = { metadata: server.behave(attempts(behaviour)), ...(deadline && { options: { deadline } }) }
  await startRpc(client, 'unary', settings).done
}

describe('onGiveUp tells why no further attempt is made', () => {
  it.each(Object.entries(reasons))('%s', async (reason, run) => {
    const told: string[] = []
    await run({ onGiveUp: (event) => told.push(event.reason) })
    expect(told).toEqual([reason])
  })
})
