import { constants } from 'node:http2'
import { status as Code, Metadata } from '@grpc/grpc-js'
import { endWith, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { type Interceptor, type ServerInterceptorLike, select } from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()

/** What Node knows of HTTP, and what gRPC says about a response. Node's list grows with its versions. */
const names = [
  ...Object.entries(constants)
    .filter(([constant]) => constant.startsWith('HTTP2_HEADER_'))
    .map(([, name]) => String(name))
    .filter((name) => !name.startsWith(':')),
  'grpc-encoding',
  'grpc-message',
  'grpc-status',
]

/** For each name, metadata with it alone, once and twice. */
function everyName(): Metadata[] {
  return names.flatMap((name) =>
    [['1'], ['1', '2']].map((values) => {
      const metadata = new Metadata()
      for (const value of values) metadata.add(name, value)
      metadata.set('x-own', 'kept')
      return metadata
    }),
  )
}

const servers: [string, boolean, readonly ServerInterceptorLike[]][] = [
  ['a server without interceptors', false, []],
  ['a server', false, [passThrough]],
  ['a stock server', true, [passThrough]],
  ['a stock server whose interceptors are for others', true, [select('other.*', passThrough)]],
]

describe.each(servers)('keys that HTTP/2 or gRPC keep for themselves: %s', (_name, stock, interceptors) => {
  it.each(patterns)('are left out of the trailers of an error: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors })
    const client = server.client()
    for (const metadata of everyName()) {
      server.behaviour = endWith({ code: Code.ABORTED, details: 'as given', metadata })
      const { status } = await runRpc(client, pattern)
      expect(status, JSON.stringify(metadata)).toMatchObject({ code: Code.ABORTED, details: 'as given' })
      expect(status?.metadata.get('x-own')).toEqual(['kept'])
    }
  })

  it.each(patterns)('are left out of headers, and of the trailers behind them: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors })
    const client = server.client()
    for (const metadata of everyName()) {
      server.behaviour = async (rpc) => {
        rpc.sendHeaders(metadata)
        await endWith({ code: Code.ABORTED, details: 'as given', metadata })(rpc)
      }
      const { status, headers } = await runRpc(client, pattern)
      expect(status, JSON.stringify(metadata)).toMatchObject({ code: Code.ABORTED, details: 'as given' })
      expect(headers?.get('x-own')).toEqual(['kept'])
      expect(status?.metadata.get('x-own')).toEqual(['kept'])
    }
  })
})
