import {
  Client,
  status as Code,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type Interceptor,
  type ServerCall,
  type ServerInterceptor,
  type ServerInterceptorLike,
  serverInterceptors,
} from '../../index.ts'

const asItIs = (bytes: Buffer): Buffer => bytes
const method = (name: string, responseStream: boolean): MethodDefinition<Buffer, Buffer> => ({
  path: `/headers.Headers/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: (bytes) => {
    if (String(bytes) === 'bad') throw new Error('this message cannot be serialized')
    return bytes
  },
  responseDeserialize: asItIs,
})
const service = { one: method('One', false), several: method('Several', true) }
type Method = keyof typeof service

const naming =
  (name: string): Interceptor<ServerCall> =>
  (call, next) => {
    call.responseMetadata.set('x-name', name)
    return next()
  }
const tapping: Interceptor = (call, next) => {
  call.onResponseMetadata((metadata) => metadata.set('x-tapped', 'yes'))
  return next()
}
const object: ServerInterceptor = { interceptService: (continuation, details) => continuation(details) }

const stacks: Record<string, { readonly stack: readonly ServerInterceptorLike[]; readonly headers: object }> = {
  'an interceptor sets response metadata': { stack: [naming('a')], headers: { 'x-name': 'a' } },
  'a tap adds to it': { stack: [tapping], headers: { 'x-tapped': 'yes' } },
  'both, outside of an interceptor object': {
    stack: [tapping, naming('a'), object],
    headers: { 'x-name': 'a', 'x-tapped': 'yes' },
  },
  'both, inside of an interceptor object': {
    stack: [object, naming('a'), tapping],
    headers: { 'x-name': 'a', 'x-tapped': 'yes' },
  },
  'on either side of one': {
    stack: [naming('outer'), object, tapping],
    headers: { 'x-name': 'outer', 'x-tapped': 'yes' },
  },
}

/** grpc-js before 1.14.5 adds the serializer's own words. */
const notSerialized: unknown = expect.stringMatching(
  `^${Code.INTERNAL} Error serializing response(: this message cannot be serialized)?$`,
)

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** What the client of a call hears, in order. */
async function heard(
  name: Method,
  interceptors: readonly ServerInterceptorLike[],
  response: string,
  headers?: Metadata,
): Promise<unknown[]> {
  const server = new Server({ interceptors: serverInterceptors(...interceptors) })
  server.addService(service, {
    one: (call: { sendMetadata(given: Metadata): void }, answer: sendUnaryData<Buffer>) => {
      if (headers) call.sendMetadata(headers)
      answer(null, Buffer.from(response))
    },
    several: (call: ServerWritableStream<Buffer, Buffer>) => {
      call.on('error', () => undefined)
      if (headers) call.sendMetadata(headers)
      call.write(Buffer.from(response))
      call.end()
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  closing.push(() => {
    client.close()
    server.forceShutdown()
  })
  const events: unknown[] = []
  await new Promise<void>((resolve) => {
    const { path, requestSerialize, responseDeserialize } = service[name]
    const request = Buffer.from('q')
    const call =
      name === 'several'
        ? client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
        : client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, bytes) => {
            if (!error) events.push(`message ${bytes}`)
          })
    call.on('metadata', (metadata: Metadata) => {
      const { 'content-type': _type, date: _date, ...own } = metadata.getMap()
      events.push(own)
    })
    call.on('data', (bytes: Buffer) => events.push(`message ${bytes}`))
    call.on('error', () => undefined)
    call.on('status', ({ code, details }: { code: Code; details: string }) => {
      events.push(`${code} ${details}`)
      resolve()
    })
  })
  return events
}

describe.each<Method>(['one', 'several'])('response headers of a method with %s', (name) => {
  describe.each(Object.keys(stacks))('%s', (title) => {
    const { stack, headers } = stacks[title] as (typeof stacks)[string]

    it('leave with the first message', async () => {
      const events = await heard(name, stack, 'good')
      expect(events).toContainEqual(headers)
      expect(events).toContain('message good')
      expect(events.at(-1)).toBe(`${Code.OK} OK`)
    })

    it('do not leave when the first message does not serialize, as without interceptors', async () => {
      const bare = await heard(name, [], 'bad')
      expect(bare).toEqual([notSerialized])
      expect(await heard(name, stack, 'bad')).toEqual(bare)
    })

    it('leave at once when the handler sends them, whatever its message does', async () => {
      const given = new Metadata()
      given.set('x-given', 'g')
      const events = await heard(name, stack, 'bad', given)
      expect(events).toEqual([{ ...headers, 'x-given': 'g' }, notSerialized])
    })
  })
})
