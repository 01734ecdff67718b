import { Metadata } from '@grpc/grpc-js'
import { type Behaviour, patterns, startTestServer, type TestServer, testService } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../entry/client.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const withHeaders: Behaviour = async (rpc) => {
  rpc.sendHeaders({ h: 'header' })
  await rpc.write({ text: 'answer' })
  rpc.end()
}

function callOf(pattern: (typeof patterns)[number], metadata: Metadata) {
  const client = createClient(testService, server.channel())
  if (pattern === 'unary') return client.unary({}, { metadata })
  if (pattern === 'serverStream') return client.serverStream({}, { metadata })
  return client[pattern]([], { metadata })
}

describe('onHeaders of a call', () => {
  it.each(patterns)(
    'hears the response headers, before anything else, or at once if they are there: %s',
    async (pattern) => {
      const call = callOf(pattern, server.behave(withHeaders))
      const heard: unknown[] = []
      call.onHeaders((headers) => heard.push(headers.get('h')))
      void call.status.then(() => heard.push('status'))
      if (Symbol.asyncIterator in call) for await (const _ of call);
      await call.status
      expect(heard).toEqual([['header'], 'status'])
      call.onHeaders((headers) => heard.push(headers.get('h')))
      await call.headers
      expect(heard[2]).toEqual(['header'])
    },
  )

  it('takes a function', () => {
    const call = callOf('unary', new Metadata())
    expect(() => call.onHeaders('x' as never)).toThrow('onHeaders: listener must be a function')
  })
})
