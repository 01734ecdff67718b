import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Client, status as Code, credentials, type ServiceError } from '@grpc/grpc-js'
import { describe, expect, it, vi } from 'vitest'
import { type Conditions, VARIABLE } from './conditions.ts'
import { deserialize, SMALL as ORDER, serialize } from './order.ts'
import type { BenchClient, Variant } from './variant.ts'

/** The text of the 16 bytes. */
const TEXT = 'sixteen bytes ok'

/** One of each library, loaded anew under its conditions. */
const load: Record<string, () => Promise<Variant>> = {
  bare: async () => (await import('./native.ts')).bare,
  'full-by-hand': async () => (await import('./full-by-hand.ts')).fullByHand,
  'nice-grpc': async () => (await import('./nice-grpc.ts')).nicePassThrough8,
  connect: async () => (await import('./connect-peer.ts')).connectPassThrough8,
}

interface Wire {
  /** What went to the server, and what came back. */
  readonly sent: string
  readonly received: string
}

/** What is on the wire while a client does something. */
async function wireOf(
  name: string,
  given: Partial<Conditions>,
  act: (client: BenchClient) => Promise<void>,
): Promise<Wire> {
  const variant = await under(name, given)
  const server = await variant.startServer()
  const sockets: Socket[] = []
  const wire = { sent: '', received: '' }
  const between = createServer((inbound) => {
    const outbound = connect(server.port, '127.0.0.1')
    sockets.push(inbound, outbound)
    for (const socket of [inbound, outbound]) socket.on('error', () => undefined)
    inbound.on('data', (bytes) => {
      wire.sent += bytes.toString('latin1')
    })
    outbound.on('data', (bytes) => {
      wire.received += bytes.toString('latin1')
    })
    inbound.pipe(outbound).pipe(inbound)
  }).listen(0, '127.0.0.1')
  await once(between, 'listening')
  const client = variant.openClient((between.address() as AddressInfo).port, true)
  await act(client)
  client.close()
  server.close()
  between.close()
  for (const socket of sockets) socket.destroy()
  return wire
}

async function under(name: string, given: Partial<Conditions>): Promise<Variant> {
  vi.stubEnv(VARIABLE, JSON.stringify(given))
  vi.resetModules()
  return await (load[name] as () => Promise<Variant>)()
}

const count = (text: string): number => text.split(TEXT).length - 1

describe.each(Object.keys(load))('calls of %s', (name) => {
  it('are in plaintext, and with --tls are not', async () => {
    const plaintext = await wireOf(name, {}, (client) => client.unary(false))
    expect([count(plaintext.sent), count(plaintext.received)]).toEqual([1, 1])
    const encrypted = await wireOf(name, { tls: true }, (client) => client.unary(false))
    expect([count(encrypted.sent), count(encrypted.received)]).toEqual([0, 0])
    expect(encrypted.received.length).toBeGreaterThan(TEXT.length)
  })

  it('with --tls are refused in plaintext', async () => {
    const variant = await under(name, { tls: true })
    const server = await variant.startServer()
    const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest('/bench.v1.Echo/Unary', serialize, deserialize, ORDER, resolve)
    })
    client.close()
    server.close()
    expect(error?.code).toBe(Code.UNAVAILABLE)
  })

  it('carry as many messages per stream as --messages says', async () => {
    const up = await wireOf(name, { messages: 150 }, (client) => client.clientStream())
    expect(count(up.sent)).toBe(150)
    const down = await wireOf(name, { messages: 150 }, (client) => client.serverStream())
    expect(count(down.received)).toBe(150)
    const both = await wireOf(name, { messages: 150 }, (client) => client.bidi())
    expect([count(both.sent), count(both.received)]).toEqual([150, 150])
  })

  it('carry an order of about 1 KB both ways with --message protobuf, in streams too', async () => {
    const bytes = serialize(ORDER)
    expect(bytes.length).toBeGreaterThan(950)
    expect(bytes.length).toBeLessThan(1100)
    const orders = (text: string): number => text.split(id).length - 1
    const id = (ORDER as { id: string }).id
    const unary = await wireOf(name, { message: 'protobuf' }, (client) => client.unary(false))
    expect([orders(unary.sent), orders(unary.received)]).toEqual([1, 1])
    expect(unary.received.length).toBeGreaterThan(bytes.length)
    const stream = await wireOf(name, { message: 'protobuf', messages: 3 }, (client) => client.bidi())
    expect([orders(stream.sent), orders(stream.received)]).toEqual([3, 3])
  })
})

it('an order is the same once it was serialized', () => {
  expect(deserialize(serialize(ORDER))).toEqual(ORDER)
})
