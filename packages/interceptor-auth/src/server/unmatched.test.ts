import { status as Code, ServerCredentials } from '@grpc/grpc-js'
import { createServer } from '@grpc-stack/grpc-core'
import { runRpc, startTestServer, testService } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import { alice, good } from '../../test/auth-server.ts'
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

it('a policy keeps its table where the next one names none of the methods of a server that has bound with it', async () => {
  const rules = policy({ allow: [{ name: 'all', principals: '*' }] })
  // Nothing to compare with yet.
  rules.replace({ allow: [{ name: 'all', principals: '*', methods: 'grpcstack.testing' }] })
  rules.replace({ allow: [{ name: 'all', principals: '*' }] })
  await using server = await startTestServer({ interceptors: [serverAuth({ verify: () => alice, authorize: rules })] })
  const client = server.client()
  const codes = async () => [
    (await runRpc(client, 'unary', good)).status?.code,
    (await runRpc(client, 'bidi', good)).status?.code,
  ]
  const unary = (methods: string) => ({ allow: [{ name: 'unary', methods }] })
  expect(() => rules.replace(unary('/grpcstack.testing.Test/unary'))).toThrow(TypeError)
  expect(() => rules.replace(unary('/grpcstack.testing.Test/unary'))).toThrow(
    'policy.replace: the matchers do not fit what the server serves: option "allow["unary"].methods": ' +
      '"/grpcstack.testing.Test/unary" names none of its methods; did you mean "/grpcstack.testing.Test/Unary"?',
  )
  expect(await codes()).toEqual([Code.OK, Code.OK])
  rules.replace(unary('/grpcstack.testing.Test/Unary'))
  expect(await codes()).toEqual([Code.OK, Code.PERMISSION_DENIED])
})

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
