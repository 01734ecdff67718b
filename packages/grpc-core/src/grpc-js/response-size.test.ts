import { connect, type IncomingHttpHeaders } from 'node:http2'
import {
  Client,
  status as Code,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
} from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  metadataOf,
  patterns,
  runRpc,
  startTestServer,
  type TestServer,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import {
  createServer,
  type Interceptor,
  RpcError,
  type ServerInterceptorLike,
  select,
  serverInterceptors,
} from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()

const big = 'd'.repeat(200_000)

/** Ends the first RPC like this, and echoes the others. */
function onceThenEcho(first: Behaviour): Behaviour {
  let done = false
  return (rpc) => {
    if (done) return echo(rpc)
    done = true
    return first(rpc)
  }
}

/** Calls a unary method by path, as a stranger would. */
async function callPath(client: Client, path: string): Promise<{ code?: number; details?: string }> {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  return await new Promise((resolve) => {
    client.makeUnaryRequest(path, bytes, bytes, {}, { deadline: Date.now() + 5000 }, (error) =>
      resolve({ code: error?.code ?? Code.OK, details: error?.details ?? '' }),
    )
  })
}

/** The last header block of a response, as bare HTTP/2 shows it. */
async function rawTrailers(server: TestServer, path: string, headers = {}): Promise<IncomingHttpHeaders> {
  const session = connect(`http://${server.address}`)
  try {
    return await new Promise((resolve, reject) => {
      const request = {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      }
      const stream = session.request(request)
      let last: IncomingHttpHeaders = {}
      stream.on('response', (received) => {
        last = received
      })
      stream.on('trailers', (received) => {
        last = received
      })
      stream.on('error', reject)
      stream.on('close', () => resolve(last))
      stream.resume()
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]))
    })
  } finally {
    session.destroy()
  }
}

function listSize(headers: IncomingHttpHeaders): number {
  let size = 0
  for (const [name, value] of Object.entries(headers)) {
    for (const item of Array.isArray(value) ? value : [value]) size += 32 + name.length + String(item).length
  }
  return size
}

const unaryPath = testService.unary.path

describe('a path that a stranger made up', () => {
  it.each([[[]], [[passThrough]]] as ServerInterceptorLike[][][])(
    'is answered however long it is, and the connection goes on: interceptors %o',
    async (interceptors) => {
      await using server = await startTestServer({ interceptors })
      const client = new Client(server.address, credentials.createInsecure())
      try {
        for (const path of [`/${'%'.repeat(40_000)}`, `/a/${'x'.repeat(50_000)}`]) {
          const { code, details } = await callPath(client, path)
          expect(code).toBe(Code.UNIMPLEMENTED)
          expect(details).toMatch(/^The server does not implement the method \/.*…$/)
          expect((await callPath(client, unaryPath)).code).toBe(Code.OK)
        }
        const { details } = await callPath(client, '/short.Service/Method')
        expect(details).toBe('The server does not implement the method /short.Service/Method')
      } finally {
        client.close()
      }
    },
  )

  it('with a grpc-timeout that is none is answered too', async () => {
    await using server = await startTestServer()
    const trailers = await rawTrailers(server, unaryPath, { 'grpc-timeout': '%'.repeat(40_000) })
    expect(trailers['grpc-status']).toBe(String(Code.INTERNAL))
    expect(listSize(trailers)).toBeLessThanOrEqual(8192)
  })
})

const servers: [string, boolean, readonly ServerInterceptorLike[]][] = [
  ['a server without interceptors', false, []],
  ['a server', false, [passThrough, passThrough]],
  ['a stock server', true, [passThrough, passThrough]],
  ['a stock server whose interceptors are for others', true, [select('other.*', passThrough)]],
]

describe.each(servers)('what is too large for a peer: %s', (_name, stock, interceptors) => {
  it.each(patterns)('details are cut, and the code and the connection stay: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors })
    const client = server.client()
    server.behaviour = onceThenEcho(
      endWith({ code: Code.NOT_FOUND, details: big, metadata: metadataOf({ a: 'kept' }) }),
    )
    const rpc = await runRpc(client, pattern)
    expect(rpc.error?.code).toBe(Code.NOT_FOUND)
    expect(rpc.error?.details).toMatch(/^d{3000,4096}…$/)
    expect(rpc.error?.metadata.get('a')).toEqual(['kept'])
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
  })

  for (const code of [Code.OK, Code.NOT_FOUND]) {
    it.each(patterns)(
      `trailers are left out, and the code and the connection stay: ${Code[code]}, %s`,
      async (pattern) => {
        await using server = await startTestServer({ stock, interceptors })
        const client = server.client()
        const metadata = metadataOf({ 'a-small': 'kept', big, 'z-small-bin': Buffer.from('kept') })
        server.behaviour = onceThenEcho(endWith({ code, details: 'why', metadata }))
        const rpc = await runRpc(client, pattern)
        expect(rpc.status?.code).toBe(code)
        expect(rpc.status?.metadata.get('a-small')).toEqual(['kept'])
        expect(rpc.status?.metadata.get('z-small-bin')).toEqual([Buffer.from('kept')])
        expect(rpc.status?.metadata.get('big')).toEqual([])
        expect(rpc.status?.details).toContain('(metadata left out: too large to send)')
        expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
      },
    )
  }

  it.each(patterns)('response headers are left out, and the call and the connection go on: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors })
    const client = server.client()
    server.behaviour = onceThenEcho(async (rpc) => {
      rpc.sendHeaders(metadataOf({ 'x-small': 'kept', 'x-big': big }))
      await echo(rpc)
    })
    const rpc = await runRpc(client, pattern)
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.headers?.get('x-small')).toEqual(['kept'])
    expect(rpc.headers?.get('x-big')).toEqual([])
    expect(rpc.status?.details).toContain('(metadata left out: too large to send)')
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
  })

  it('more keys than a peer on Node takes are left out', async () => {
    await using server = await startTestServer({ stock, interceptors })
    const metadata = new Metadata()
    for (let n = 0; n < 500; n++) metadata.set(`k${n}`, '')
    server.behaviour = endWith({ code: Code.NOT_FOUND, metadata })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.error?.code).toBe(Code.NOT_FOUND)
    expect(rpc.error?.metadata.get('k0')).toEqual([''])
  })

  it('half a surrogate pair in details becomes a replacement character', async () => {
    await using server = await startTestServer({ stock, interceptors })
    for (const pattern of patterns) {
      server.behaviour = endWith({ code: Code.NOT_FOUND, details: 'a\ud83d b\ude00' })
      expect((await runRpc(server.client(), pattern)).error?.details).toBe('a\ufffd b\ufffd')
    }
  })
})

describe('several stacks on one stock server', () => {
  it('bound a response once', async () => {
    const nothing = serverInterceptors(select('other.*', passThrough))
    const interceptors = [...nothing, ...nothing, ...serverInterceptors(passThrough), ...nothing]
    const server = new Server({ interceptors })
    server.addService(testService, {
      unary: (_call: unknown, answer: sendUnaryData<unknown>) => answer({ code: 5, details: big }),
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const { code, details } = await callPath(client, unaryPath)
      expect(code).toBe(Code.NOT_FOUND)
      expect(details).toMatch(/^d+…$/)
    } finally {
      client.close()
      server.forceShutdown()
    }
  })
})

describe('what interceptors refuse with', () => {
  it.each([true, false])('is bounded like what handlers say, stock server %s', async (stock) => {
    const refusing: Interceptor = () => {
      throw new RpcError(Code.PERMISSION_DENIED, big, { metadata: metadataOf({ big }) })
    }
    await using server = await startTestServer({ stock, interceptors: [refusing] })
    const client = server.client()
    for (const pattern of patterns) {
      const rpc = await runRpc(client, pattern)
      expect(rpc.error?.code).toBe(Code.PERMISSION_DENIED)
      expect(rpc.error?.details).toMatch(/^d+… \(metadata left out: too large to send\)$/)
    }
  })

  it('is whole for interceptors outside', async () => {
    const seen: (string | undefined)[] = []
    const watching: Interceptor = async (_call, next) => {
      const status = await next()
      seen.push(status.details)
      return status
    }
    await using server = await startTestServer({
      interceptors: [watching],
      behaviour: endWith({ code: Code.NOT_FOUND, details: big }),
    })
    await runRpc(server.client(), 'unary')
    expect(seen).toEqual([big])
  })
})

describe('the limit', () => {
  const texts: [string, string][] = [
    ['plain', 'd'],
    ['percent signs', '%'],
    ['two bytes', 'é'],
    ['three bytes', '統'],
    ['four bytes', '😀'],
    ['a shifted pair', 'a😀'],
    ['half pairs', '\ud83d'],
  ]
  for (const limit of [1024, 8192, 65_536]) {
    it.each(texts)(`is of encoded bytes, and no character is cut in two: ${limit}, %s`, async (_name, unit) => {
      const details = unit.repeat(200_000)
      await using running = await startTestServer({
        serverOptions: { maxResponseMetadataBytes: limit } as never,
        behaviour: endWith({ code: Code.ABORTED, details, metadata: metadataOf({ big, small: 'kept' }) }),
      })
      const trailers = await rawTrailers(running, unaryPath)
      expect(trailers['grpc-status']).toBe(String(Code.ABORTED))
      expect(trailers.small).toBe('kept')
      expect(listSize(trailers)).toBeLessThanOrEqual(limit)
      expect(listSize(trailers)).toBeGreaterThan(limit / 4)
      const text = decodeURI(trailers['grpc-message'] as string).replace(' (metadata left out: too large to send)', '')
      expect(text).toMatch(/…$/)
      expect(details.toWellFormed().startsWith(text.slice(0, -1))).toBe(true)
      expect(text.isWellFormed()).toBe(true)
    })
  }

  it('leaves what fits as it is', async () => {
    const details = 'd'.repeat(7000)
    await using server = await startTestServer({
      interceptors: [passThrough],
      behaviour: endWith({ code: Code.ABORTED, details, metadata: metadataOf({ a: 'x'.repeat(500) }) }),
    })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.error?.details).toBe(details)
    expect(rpc.error?.metadata.get('a')).toEqual(['x'.repeat(500)])
  })

  it.each([0, -1, 1023, 65_537, Number.NaN, Number.POSITIVE_INFINITY, '8192', null])('cannot be %j', (limit) => {
    const make = () => createServer({ maxResponseMetadataBytes: limit as never })
    expect(make).toThrow(TypeError)
    expect(make).toThrow('createServer: option "maxResponseMetadataBytes" must be a number of bytes from 1024 to 65536')
  })
})
