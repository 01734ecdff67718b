import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { credentials } from '@grpc/grpc-js'
import { manual, startRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'

// Why the loop of a handler over its requests may end as usual when the call was cancelled. `http2Stream.close(code)` of Node ends the
// writable side of a stream before it resets it (closeStream in lib/internal/http2/core.js), and so does grpc-js by it.

it.each(['clientStream', 'bidi'] as const)(
  'a client that cancels half-closes its requests first, and resets them in another frame: %s',
  async (pattern) => {
    await using server = await startTestServer({ stock: true, behaviour: manual })
    const [host = '', port] = server.address.split(':')
    const sent: Buffer[] = []
    const between = createServer((client) => {
      const onward = connect(Number(port), host)
      client.on('data', (bytes) => sent.push(bytes))
      client.pipe(onward).pipe(client)
    })
    between.listen(0, '127.0.0.1')
    await once(between, 'listening')
    const { port: entrance } = between.address() as AddressInfo // listens to a port
    const client = new TestClient(`127.0.0.1:${entrance}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    })
    try {
      const rpc = startRpc(client, pattern)
      await rpc.write({ n: 1 })
      const served = await server.received(0)
      await served.read()
      rpc.cancel()
      await served.closed
      expect(framesOfFirstStream(Buffer.concat(sent)).slice(-3)).toEqual(['DATA', 'DATA, END_STREAM', 'RST_STREAM'])
    } finally {
      client.close()
      between.close()
    }
  },
)

const NAMES: Readonly<Record<number, string>> = { 0: 'DATA', 1: 'HEADERS', 3: 'RST_STREAM' }

/** RFC 9113, 4.1: length, type, flags and stream of each frame; before the first, 24 bytes of preface. */
function framesOfFirstStream(bytes: Buffer): string[] {
  const frames: string[] = []
  for (let at = 24; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const name = NAMES[bytes.readUInt8(at + 3)]
    const ends = name !== 'RST_STREAM' && (bytes.readUInt8(at + 4) & 1) === 1
    if (bytes.readUInt32BE(at + 5) === 1 && name !== undefined) frames.push(ends ? `${name}, END_STREAM` : name)
  }
  return frames
}
