import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { serverInterceptors } from '../../index.ts'

const asItIs = (bytes: Buffer): Buffer => bytes
const echo = {
  path: '/wire.Echo/Echo',
  requestStream: false,
  responseStream: false,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
} as const

it('leaves no closure on calls of grpc-js, which V8 would keep with their HTTP/2 streams', async () => {
  const seen: ServerInterceptingCallInterface[] = []
  const [ours] = serverInterceptors((_call, next) => next()) as [ServerInterceptor]
  const watched: ServerInterceptor = (definition, call) => {
    seen.push(call)
    return ours(definition, call)
  }
  const server = new Server({ interceptors: [watched] })
  server.addService(
    { echo },
    { echo: (call: { request: Buffer }, answer: sendUnaryData<Buffer>) => answer(null, call.request) },
  )
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  try {
    for (const text of ['a', 'b']) {
      const answer = await new Promise((resolve, reject) => {
        client.makeUnaryRequest(echo.path, asItIs, asItIs, Buffer.from(text), (error, got) =>
          error ? reject(error) : resolve(got),
        )
      })
      expect(String(answer)).toBe(text)
    }
  } finally {
    client.close()
    server.forceShutdown()
  }
  const [first, second] = seen.map((call) => Object.values(call).filter((value) => typeof value === 'function'))
  expect(first).toHaveLength(2)
  expect(new Set(first)).toEqual(new Set([seen[0]?.sendStatus, seen[0]?.sendMetadata]))
  expect(second).toEqual(first)
})
