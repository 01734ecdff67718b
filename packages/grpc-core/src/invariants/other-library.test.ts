import {
  status as Code,
  credentials,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js'
import { runRpc, TestClient, testService, unparsable } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import type { Interceptor } from '../contract/call.ts'
import { serverInterceptors } from '../entry/server-interceptors.ts'

const passing: ServerInterceptor = (_definition, call) => new ServerInterceptingCall(call)

it.each([
  ['alone, interceptors see the true code', [], Code.INTERNAL],
  ['inside of interceptors of another library, they see CANCELLED', [passing], Code.CANCELLED],
] as const)('a request that grpc-js cannot read, on a stock server: %s', async (_where, outside, code) => {
  let heard: (code: Code) => void = () => undefined
  const ended = new Promise<Code>((resolve) => {
    heard = resolve
  })
  const watch: Interceptor = async (_call, next) => {
    const status = await next()
    heard(status.code)
    return status
  }
  const server = new Server({ interceptors: [...outside, ...serverInterceptors(watch)] })
  const handler = (_call: unknown, callback: (error: null, message: object) => void): void => callback(null, {})
  server.addService({ unary: testService.unary } as never, { unary: handler } as never)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
  try {
    await runRpc(client, 'unary', { requests: [unparsable] })
    expect(await ended).toBe(code)
  } finally {
    client.close()
    server.forceShutdown()
  }
})
