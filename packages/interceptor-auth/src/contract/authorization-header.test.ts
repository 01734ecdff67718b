import { status as Code } from '@grpc/grpc-js'
import type { ServerCall, ServerInterceptorLike } from '@grpc-stack/grpc-core'
import { runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import {
  alice,
  answerTo,
  carrying,
  clientOf,
  REFUSED,
  startAuthServer,
  stopAuthServers,
  verify,
} from '../../test/auth-server.ts'
import { bearer } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

// reference: flaw 48, symbol 45
describe('more than one authorization value is none', () => {
  const twice: ServerInterceptorLike = function twice(call: ServerCall, next) {
    call.metadata.add('authorization', 'Bearer good')
    return next()
  }

  it('whichever of them is valid, and no verifier is asked', async () => {
    let asked = 0
    const count = (token: string) => {
      asked++
      return verify(token)
    }
    server = await startAuthServer({ verify: [count, bearer(count, { scheme: 'Token' })] }, { before: [twice] })
    for (const other of ['Bearer bad', 'Bearer good', 'Token good', 'Basic x', '']) {
      expect(await answerTo(server, other)).toBe(REFUSED)
    }
    expect(asked).toBe(0)
  })

  it('also when HTTP has joined them', async () => {
    server = await startAuthServer({ verify: () => alice })
    for (const joined of ['Bearer a, Bearer b', 'Bearer a,Bearer b', 'Bearer a,b', 'Bearer a, b']) {
      expect(await answerTo(server, joined)).toBe(REFUSED)
    }
  })
})

// reference: flaw 49
describe('the header is read as RFC 9110 has it', () => {
  const taken = ['Bearer good', 'bearer good', 'BEARER good', 'bEaReR   good']
  const refused = [
    ...['', ' ', 'Bearer', 'Bearer ', 'Bearer   ', 'good', 'Bearergood', 'Bearer: good', 'Basic good', 'Bearer good x'],
    ...['Bearer good ', ' Bearer good', 'Bearer "good"', 'Bearer ,good', 'Bear good', 'Bearers good'],
  ]
  for (const header of taken) {
    it(`takes ${JSON.stringify(header)}`, async () => {
      server = await startAuthServer({ verify })
      const rpc = await runRpc(clientOf(server), 'unary', carrying(header))
      expect(rpc.status?.code).toBe(Code.OK)
    })
  }
  it('refuses anything else', async () => {
    server = await startAuthServer({ verify })
    for (const header of refused) {
      const rpc = await runRpc(clientOf(server), 'unary', carrying(header))
      expect([header, rpc.status?.code]).toEqual([header, Code.UNAUTHENTICATED])
    }
    expect(server.calls).toHaveLength(0)
  })

  it('with another scheme, too', async () => {
    server = await startAuthServer({ verify, scheme: 'Token' })
    expect(await answerTo(server, 'tOKEN good')).toBe('OK: OK')
    expect(await answerTo(server, 'Bearer good')).toBe(REFUSED)
  })

  it('and never longer than maxCredentialLength', async () => {
    let asked = 0
    server = await startAuthServer({
      verify: () => {
        asked++
        return alice
      },
      maxCredentialLength: 100,
    })
    expect(await answerTo(server, `Bearer ${'a'.repeat(100)}`)).toBe('OK: OK')
    expect(await answerTo(server, `Bearer ${'a'.repeat(101)}`)).toBe(REFUSED)
    expect(asked).toBe(1)
  })
})
