import { compressionAlgorithms, credentials } from '@grpc/grpc-js'
import { TestClient } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import { startRawPeer } from '../../test/raw-peer.ts'
import {
  type ClientCall,
  type ClientInterceptor,
  type ClientInterceptorLike,
  clientInterceptors,
  type Interceptor,
} from '../index.ts'

const NO_COMPRESS = 2 // grpc-js: WriteFlags.NoCompress
const PREFIX = 5

const passing: ClientInterceptor = {
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
}
const late: Interceptor = async (_call, next) => {
  await Promise.resolve()
  return next()
}

/** Whether each of the requests that are written with these flags is compressed on its way, on a channel that compresses. */
async function compressed(
  pattern: 'clientStream' | 'bidi',
  flags: readonly (number | undefined)[],
  ...stack: ClientInterceptorLike[]
): Promise<boolean[]> {
  let bytes = Buffer.alloc(0)
  await using peer = await startRawPeer((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
    })
  })
  const client = new TestClient(peer.channel().getTarget(), credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
    interceptors: clientInterceptors(...stack),
  })
  const call = pattern === 'bidi' ? client.bidi() : client.clientStream(() => undefined)
  call.on('error', () => undefined)
  for (const flag of flags) {
    if (flag === undefined) call.write({ text: 'x' })
    else call.write({ text: 'x' }, flag)
  }
  const marks = (): boolean[] => {
    const found: boolean[] = []
    for (let at = 0; at + PREFIX <= bytes.length; at += PREFIX + bytes.readUInt32BE(at + 1)) found.push(bytes[at] === 1)
    return found
  }
  await until(() => marks().length === flags.length)
  call.cancel()
  client.close()
  return marks()
}

describe.each(['clientStream', 'bidi'] as const)(
  'the flags of each request that the application writes: %s',
  (pattern) => {
    it.each<[string, readonly ClientInterceptorLike[]]>([
      ['without interceptors', []],
      ['through an interceptor that starts late', [late]],
      ['through an interceptor object that passes its requests on', [passing]],
      ['through three such objects', [passing, passing, passing]],
      ['through such an object that starts late', [late, passing, late]],
    ])('reach grpc-js %s', async (_, stack) => {
      expect(await compressed(pattern, [NO_COMPRESS, undefined, NO_COMPRESS], ...stack)).toEqual([false, true, false])
    })

    it.each<[string, readonly Interceptor[]]>([
      ['', []],
      [' and starts late', [late]],
    ])('give way to an interceptor that asks for uncompressed requests%s', async (_, inside) => {
      const uncompressed: Interceptor<ClientCall> = (call, next) => {
        call.compression = 'identity'
        return next()
      }
      expect(await compressed(pattern, [undefined, NO_COMPRESS], uncompressed, ...inside)).toEqual([false, false])
    })
  },
)
