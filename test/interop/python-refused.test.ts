import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { type Behaviour, echo, endWith, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { missingGrpcPython, runPython } from './python.ts'

const refusing: Interceptor = () => ({ code: Code.UNAUTHENTICATED, details: 'no token' })
const passThrough: Interceptor = (_call, next) => next()

const refusals: [string, Interceptor, Behaviour][] = [
  ['an interceptor', refusing, echo],
  ['a handler', passThrough, endWith({ code: Code.UNAUTHENTICATED, details: 'no token' })],
]

describe('a refusal of a gRPC Python client that is still sending', () => {
  for (const stock of [false, true]) {
    for (const [name, interceptor, behaviour] of refusals) {
      it(`has its own status in all four patterns: ${name}, stock server ${stock}`, async ({ skip }) => {
        if (missingGrpcPython) skip(missingGrpcPython)
        await using server = await startTestServer({ stock, interceptors: [interceptor], behaviour })
        const checks = await runPython('refused.py', Number(server.address.split(':')[1]))
        for (const kind of ['Unary', 'ServerStream', 'ClientStream', 'Bidi']) {
          expect(checks.get(kind)).toEqual({ ends: { '16 no token': 20 } })
        }
      }, 60_000)
    }
  }
})
