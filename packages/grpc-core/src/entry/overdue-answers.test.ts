import { status as Code, credentials, type Server, ServerCredentials } from '@grpc/grpc-js'
import { TestClient, testService } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createServer } from './server.ts'

let server: Server | undefined
let client: TestClient | undefined
afterEach(() => {
  client?.close()
  server?.forceShutdown()
})

type Unary = (call: object, callback: (error: null, message: object) => void) => unknown

async function serve(unary: Unary): Promise<TestClient> {
  server = createServer()
  server.addService({ unary: testService.unary } as never, { unary } as never)
  const port = await new Promise<number>((resolve, reject) => {
    server?.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
  return client
}

/** Has a handler called, and what is set to happen after ten seconds happen at once. Returns the warnings. */
async function tenSecondsOf(handler: Unary, answers = false): Promise<string[]> {
  const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const overdue = () => timers.mock.calls.filter(([, ms]) => ms === 10_000)
  const stub = await serve(handler)
  const answered = new Promise((resolve) => stub.unary({}, resolve))
  await expect.poll(overdue).toHaveLength(1)
  if (answers) await answered
  for (const [run] of overdue()) (run as () => void)()
  return warnings.mock.calls
    .filter(([, options]) => (options as { code?: string } | undefined)?.code === 'GRPC_STACK_NO_ANSWER')
    .map(([text]) => String(text))
}

const named = expect.stringMatching(/^A handler of \/grpcstack\.\S+\/Unary has returned no response .* for 10 seconds/)

describe('a process warning names, after ten seconds without an answer,', () => {
  it('a handler that declares the call alone and returns nothing', async () => {
    expect(await tenSecondsOf((_call) => undefined)).toEqual([named])
  })

  it('a handler with a callback whose promise comes to nothing', async () => {
    expect(await tenSecondsOf(async (_call, _callback) => undefined)).toEqual([named])
  })

  it('and none that has called its callback meanwhile', async () => {
    const late: Unary = async (_call, callback) => void setTimeout(callback, 1, null, { text: 'late' })
    expect(await tenSecondsOf(late, true)).toEqual([])
  })
})

it('a handler that declares its callback, and returns no promise, may take any time', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const stub = await serve((_call, callback) => callback(null, { text: 'now' }))
  const code = await new Promise((resolve) => stub.unary({}, (error) => resolve(error?.code ?? Code.OK)))
  expect(code).toBe(Code.OK)
  expect(timers.mock.calls.filter(([, ms]) => ms === 10_000)).toEqual([])
})
