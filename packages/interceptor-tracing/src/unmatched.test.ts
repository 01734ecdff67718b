import { ServerCredentials } from '@grpc/grpc-js'
import { createServer, type Matcher } from '@grpc-stack/grpc-core'
import { testService } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { tracing } from './index.ts'

function bind(methods: Matcher): void {
  const server = createServer({ interceptors: [tracing({ methods })] })
  server.addService(testService, {})
  try {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), () => undefined)
  } finally {
    server.forceShutdown()
  }
}

it('a server does not bind where "methods" names none of its methods, which would leave their spans out', () => {
  expect(() => bind('grpcstack.testing.test')).toThrow(
    'interceptor 0 (tracing): option "methods": "grpcstack.testing.test" names none of its methods; did you mean "grpcstack.testing.Test"?',
  )
  expect(() => bind('grpcstack.testing.Test')).not.toThrow()
})
