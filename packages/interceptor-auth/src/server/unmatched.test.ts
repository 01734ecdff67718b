import { ServerCredentials } from '@grpc/grpc-js'
import { createServer } from '@grpc-stack/grpc-core'
import { testService } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { type ServerAuthOptions, serverAuth } from '../index.ts'
import { policy } from '../policy/policy.ts'

function bind(options: Partial<ServerAuthOptions>): void {
  const server = createServer({ interceptors: [serverAuth({ verify: () => null, ...options })] })
  server.addService(testService, {})
  try {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), () => undefined)
  } finally {
    server.forceShutdown()
  }
}

it('a server does not bind where "public" or a rule of a policy names none of its methods', () => {
  expect(() => bind({ public: '/grpcstack.testing.Test/unary' })).toThrow(
    'interceptor 0 (serverAuth): option "public": "/grpcstack.testing.Test/unary" names none of its methods; did you mean ' +
      '"/grpcstack.testing.Test/Unary"?',
  )
  const rule = { name: 'readers', methods: 'grpcstack.testing', scopes: 'read' }
  const open = { name: 'open', principals: '*' }
  expect(() => bind({ authorize: policy({ allow: [open], deny: [rule] }) })).toThrow(
    'option "authorize.deny["readers"].methods": "grpcstack.testing" names none of its methods; did you mean "grpcstack.testing.*"?',
  )
  expect(() => bind({ authorize: policy({ allow: [rule] }) })).toThrow('authorize.allow["readers"].methods')
  expect(() => bind({ public: 'grpcstack.testing.Test', authorize: policy({ allow: [open] }) })).not.toThrow()
})
