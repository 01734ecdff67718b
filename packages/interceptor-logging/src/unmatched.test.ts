import { ServerCredentials } from '@grpc/grpc-js'
import { createServer, not } from '@grpc-stack/grpc-core'
import { testService } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { logging, type PayloadOptions } from './index.ts'

function bind(methods: PayloadOptions['methods']): void {
  const server = createServer({ interceptors: [logging({ payload: { methods } as PayloadOptions })] })
  server.addService(testService, {})
  try {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), () => undefined)
  } finally {
    server.forceShutdown()
  }
}

it('a server does not bind where "payload.methods" names none of its methods, which would log the messages it was to spare', () => {
  expect(() => bind(not('/grpcstack.testing.Test/unary'))).toThrow(
    'interceptor 0 (logging): option "payload.methods": "/grpcstack.testing.Test/unary" names none of its methods; did you mean ' +
      '"/grpcstack.testing.Test/Unary"?',
  )
  expect(() => bind(not('/grpcstack.testing.Test/Unary'))).not.toThrow()
})
