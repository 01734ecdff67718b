import { frame } from '../faults/raw-answers.ts'
import {
  callHeaders,
  FrameClient,
  flag,
  frameType,
  headerBlock,
  http2Frame,
  numberFrame,
  setting,
  settingsFrame,
} from '../http2-frames.ts'
import type { Random } from '../random.ts'
import { delay } from '../turns.ts'
import { TENANT, TRUSTED_PROXY } from './attacked.ts'

/** One thing that a hostile client does for a while, or so many times. */
export interface Attack {
  /** What bounds it, as the report says it. */
  readonly boundedBy: string
  /** Against a server with limits, or one whose limits let everything pass. */
  readonly limited: boolean
  /** Resolves to how many times it was done, at the height of the attack: what is held is still held. */
  readonly run: (target: Target) => Promise<number>
}

export interface Target {
  readonly port: number
  /** How long at most, where it can go on for ever. */
  readonly ms: number
  /** How many at most. */
  readonly count: number
  readonly random: Random
}

const ATTACKER = '127.0.0.66'
const UNARY = '/grpcstack.chaos.Chaos/Unary'
const CLIENT_STREAM = '/grpcstack.chaos.Chaos/ClientStream'
const SERVER_STREAM = '/grpcstack.chaos.Chaos/ServerStream'
const GOOD_KEY: readonly [string, string] = ['x-api-key', 'good']
const CANCEL = 8
const CONNECTIONS = 4
const BATCH = 50
/** What costs little is done more often. */
const FLOOD = 5
/** Requests on their way at the same time. */
const IN_FLIGHT = 100
const BODY = frame(Buffer.from([0, 0, 0, 0, 0]))

/** Connects again and again, and does something on each connection until the server closes it. */
async function again({ port, ms, count }: Target, attack: Repeated): Promise<number> {
  const { from = ATTACKER, deaf = false, onConnect } = attack
  const end = performance.now() + ms
  let attempts = 0
  const goesOn = (): boolean => performance.now() < end && attempts < FLOOD * count
  const lane = async (): Promise<void> => {
    while (goesOn()) {
      const client = await FrameClient.connect({ port, from, deaf })
      const first = onConnect?.(client)
      if (first !== undefined) client.send(...first)
      while (client.isOpen && goesOn()) {
        const frames = Array.from({ length: BATCH }, () => attack.frames(client)).flat()
        client.send(...frames)
        attempts += BATCH
        // A server that no longer reads is not flooded further.
        await Promise.race([client.drained(), delay(100)])
        await delay(0)
      }
      client.close()
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  return attempts
}

interface Repeated {
  readonly from?: string
  readonly deaf?: boolean
  readonly onConnect?: (client: FrameClient) => Buffer[]
  /** One time. */
  readonly frames: (client: FrameClient) => Buffer[]
}

const flood = (boundedBy: string, repeated: Repeated): Attack => ({
  boundedBy,
  limited: true,
  run: (target) => again(target, repeated),
})

/** As many requests as were asked for, a hundred at a time, each with headers of its own. */
function distinct(
  boundedBy: string,
  headers: (n: number, random: Random) => [path: string, ...metadata: (readonly [string, string])[]],
  from: string = ATTACKER,
): Attack {
  return {
    boundedBy,
    limited: false,
    run: async ({ port, count, random }) => {
      let next = 0
      const client = await FrameClient.connect({ port, from })
      const lane = async (): Promise<void> => {
        while (next < count && client.isOpen) {
          const [path, ...metadata] = headers(next++, random)
          await client.request(callHeaders(path, metadata), BODY)
        }
      }
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
      if (next < count) throw new Error(`the server closed the connection after ${next} requests`)
      return next
    },
  }
}

/** Streams that stay open, a hundred a connection. */
async function holdStreams(target: Target, path: string, body: Buffer | undefined): Promise<FrameClient[]> {
  const clients: FrameClient[] = []
  for (let opened = 0; opened < target.count; opened += IN_FLIGHT) {
    const client = await FrameClient.connect({
      port: target.port,
      from: ATTACKER,
      // What the server answers, it cannot send.
      ...(body !== undefined && { settings: [[setting.INITIAL_WINDOW_SIZE, 0]] }),
    })
    clients.push(client)
    for (let i = 0; i < IN_FLIGHT; i++) void client.request(callHeaders(path, [GOOD_KEY]), body)
    await client.understood()
  }
  return clients
}

const holding = (boundedBy: string, limited: boolean, path: string, body?: Buffer): Attack => ({
  boundedBy,
  limited,
  run: async (target) => {
    await holdStreams(target, path, body)
    await delay(target.ms)
    return target.count
  },
})

/** A HEADERS frame and CONTINUATIONs, as large as HTTP/2 allows. */
function continued(stream: number, block: Buffer, ends: boolean): Buffer[] {
  const frames: Buffer[] = []
  const LARGEST = 16_384
  for (let at = 0; at < block.length; at += LARGEST) {
    const last = at + LARGEST >= block.length && ends
    const type = at === 0 ? frameType.HEADERS : frameType.CONTINUATION
    frames.push(http2Frame(type, last ? flag.END_HEADERS : 0, stream, block.subarray(at, at + LARGEST)))
  }
  return frames
}

/** One request that is not one; the connection is often lost over it. */
const MALFORMED: readonly ((stream: number) => Buffer[])[] = [
  (stream) => [http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, headerBlock([[':method', 'POST']]))],
  (stream) => [request(stream, callHeaders(UNARY).slice(1))],
  (stream) => [request(stream, [...callHeaders(UNARY, [GOOD_KEY]), [':path', UNARY]])],
  (stream) => [request(stream, callHeaders('', [GOOD_KEY]))],
  (stream) => [request(stream, callHeaders('no slash', [GOOD_KEY]))],
  (stream) => [request(stream, callHeaders(`/${'x'.repeat(8000)}`, [GOOD_KEY]))],
  (stream) => [request(stream, [[':method', 'GET'], ...callHeaders(UNARY, [GOOD_KEY]).slice(1)])],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['content-type', 'text/html']]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['grpc-timeout', '-1S']]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['grpc-timeout', '0n']]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['grpc-encoding', 'none such']])), body(stream, BODY)],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['x-bin', '!!!']])), body(stream, BODY)],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY, ['te', 'none'], ['connection', 'close']]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), request(stream, callHeaders(UNARY, [GOOD_KEY]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, BODY), body(stream, BODY)],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, Buffer.concat([BODY, BODY]))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, BODY.subarray(0, 3))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, frame(Buffer.alloc(5), 1))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, frame(Buffer.alloc(5), 0, 2 ** 32 - 1))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, frame(Buffer.from([1])))],
  (stream) => [request(stream, callHeaders(UNARY, [GOOD_KEY])), body(stream, Buffer.alloc(0))],
  (stream) => [body(stream, BODY)],
  (stream) => [request(stream + 1, callHeaders(UNARY, [GOOD_KEY]))],
  (stream) => [http2Frame(frameType.PUSH_PROMISE, flag.END_HEADERS, stream, Buffer.from([0, 0, 0, 2]))],
  () => [http2Frame(frameType.GOAWAY, 0, 0, Buffer.alloc(8))],
  () => [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
]

const request = (stream: number, fields: readonly (readonly [string, string])[]): Buffer =>
  http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, headerBlock(fields))
const body = (stream: number, bytes: Buffer): Buffer => http2Frame(frameType.DATA, flag.END_STREAM, stream, bytes)

/** Each kind in turn, on a connection of its own. */
async function malformed({ port, count }: Target): Promise<number> {
  const times = Math.min(count, 1000)
  for (let n = 0; n < times; n++) {
    const client = await FrameClient.connect({ port, from: ATTACKER })
    client.send(...(MALFORMED[n % MALFORMED.length]?.(client.nextStream()) ?? []))
    await Promise.race([client.understood(), delay(20)])
    client.close()
  }
  return times
}

const HPACK_ENTRY = (() => {
  const value = Buffer.alloc(4000, 'x')
  const length = Buffer.from([127, ((4000 - 127) & 127) | 128, (4000 - 127) >> 7])
  return Buffer.concat([Buffer.from([0x40, 3]), Buffer.from('x-a'), length, value])
})()
/** The newest entry of the table: one byte for 4000. */
const HPACK_REFERENCE = 0x80 | 62

const LARGE_BLOCKS = new Map<string, Buffer>([
  [
    'many fields',
    headerBlock(
      callHeaders(
        UNARY,
        Array.from({ length: 4000 }, (_, n): [string, string] => [`x-${n}`, 'y']),
      ),
    ),
  ],
  ['large fields', headerBlock(callHeaders(UNARY, [['x-large', 'y'.repeat(1 << 20)]]))],
])

const OBJECT_KEYS = ['__proto__', 'constructor', 'prototype', 'hasownproperty', 'tostring', 'valueof', 'then', 'tojson']

const byNode = 'Node: it closes the connection'
const byNodeHeaders = 'Node: `maxHeaderListSize`, `maxHeaderListPairs`'

/** By name. */
export const attacks: ReadonlyMap<string, Attack> = new Map<string, Attack>([
  [
    'rapid reset, without a credential',
    flood('`rateLimit` by peer; Node: resets per second', {
      frames: (client) => {
        const stream = client.nextStream()
        return [
          http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, headerBlock(callHeaders(UNARY))),
          numberFrame(frameType.RST_STREAM, stream, CANCEL),
        ]
      },
    }),
  ],
  [
    'rapid reset of calls that are served',
    flood('`rateLimit` by peer; Node: resets per second', {
      frames: (client) => {
        const stream = client.nextStream()
        return [
          http2Frame(frameType.HEADERS, flag.END_HEADERS, stream, headerBlock(callHeaders(UNARY, [GOOD_KEY]))),
          http2Frame(frameType.DATA, flag.END_STREAM, stream, BODY),
          numberFrame(frameType.RST_STREAM, stream, CANCEL),
        ]
      },
    }),
  ],
  ['streams held open', holding('`concurrencyLimit` by peer; `grpc.max_concurrent_streams`', true, CLIENT_STREAM)],
  ['streams held open, no limits', holding('nothing: the memory of each', false, CLIENT_STREAM)],
  [
    'requests sent a byte at a time',
    {
      boundedBy: '`concurrencyLimit` by peer',
      limited: true,
      run: async (target) => {
        const clients = await holdStreams(target, UNARY, undefined)
        const end = performance.now() + target.ms
        for (let at = 0; performance.now() < end; at++) {
          const byte = BODY.subarray(at % 4, (at % 4) + 1) // of the frame's head, so that no message is ever whole
          for (const client of clients) {
            for (let stream = 1; stream < 2 * IN_FLIGHT; stream += 2) {
              if (at < 3) client.send(http2Frame(frameType.DATA, 0, stream, byte))
            }
          }
          await delay(200)
        }
        return target.count
      },
    },
  ],
  [
    'responses that are not read',
    holding('`concurrencyLimit` by peer; backpressure of handlers', true, SERVER_STREAM, frame(Buffer.alloc(1004))),
  ],
  ['PING', flood(byNode, { frames: () => [http2Frame(frameType.PING, 0, 0, Buffer.alloc(8))] })],
  [
    'PING, answers not read',
    flood(byNode, { deaf: true, frames: () => [http2Frame(frameType.PING, 0, 0, Buffer.alloc(8))] }),
  ],
  [
    'SETTINGS',
    flood(byNode, {
      frames: () => [
        settingsFrame([
          [setting.INITIAL_WINDOW_SIZE, 65_535],
          [setting.HEADER_TABLE_SIZE, 4096],
        ]),
      ],
    }),
  ],
  ['SETTINGS, answers not read', flood(byNode, { deaf: true, frames: () => [settingsFrame([])] })],
  [
    'WINDOW_UPDATE and PRIORITY',
    flood(byNode, {
      onConnect: (client) => [
        http2Frame(
          frameType.HEADERS,
          flag.END_HEADERS,
          client.nextStream(),
          headerBlock(callHeaders(UNARY, [GOOD_KEY])),
        ),
      ],
      frames: () => [
        numberFrame(frameType.WINDOW_UPDATE, 1, 1),
        http2Frame(frameType.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 1])),
      ],
    }),
  ],
  [
    'empty DATA',
    flood(byNode, {
      onConnect: (client) => [
        http2Frame(
          frameType.HEADERS,
          flag.END_HEADERS,
          client.nextStream(),
          headerBlock(callHeaders(UNARY, [GOOD_KEY])),
        ),
      ],
      frames: () => [http2Frame(frameType.DATA, 0, 1)],
    }),
  ],
  ...[...LARGE_BLOCKS].map(([name, block]): [string, Attack] => [
    `headers: ${name}`,
    flood(byNodeHeaders, { frames: (client) => continued(client.nextStream(), block, true) }),
  ]),
  [
    'headers that do not end',
    flood(byNodeHeaders, {
      onConnect: (client) => [http2Frame(frameType.HEADERS, 0, client.nextStream(), headerBlock(callHeaders(UNARY)))],
      frames: () => [http2Frame(frameType.CONTINUATION, 0, 1, headerBlock([['x-more', 'y'.repeat(1000)]]))],
    }),
  ],
  [
    'headers: one byte for 4000',
    flood(byNodeHeaders, {
      onConnect: (client) => [
        http2Frame(
          frameType.HEADERS,
          flag.END_HEADERS,
          client.nextStream(),
          Buffer.concat([headerBlock(callHeaders(UNARY)), HPACK_ENTRY]),
        ),
      ],
      frames: (client) => [
        http2Frame(
          frameType.HEADERS,
          flag.END_HEADERS,
          client.nextStream(),
          Buffer.concat([headerBlock(callHeaders(UNARY)), Buffer.alloc(15_000, HPACK_REFERENCE)]),
        ),
      ],
    }),
  ],
  [
    'metadata named as members of objects',
    distinct('nothing is needed', (n, random) => [
      UNARY,
      GOOD_KEY,
      ...OBJECT_KEYS.map((key): [string, string] => [key, random.pick(OBJECT_KEYS)]),
      [TENANT, random.pick(OBJECT_KEYS)],
      ['x-request-id', random.pick(OBJECT_KEYS)],
      ['traceparent', `00-${'0'.repeat(32)}-__proto__`],
      ['grpc-timeout', n % 2 === 0 ? '99999999H' : '__proto__'],
    ]),
  ],
  ['requests that are none', { boundedBy: 'Node and grpc-js: they refuse it', limited: true, run: malformed }],
  [
    'settings that change',
    flood('nothing is needed', {
      frames: (client) => [
        settingsFrame([
          [setting.INITIAL_WINDOW_SIZE, 0],
          [setting.MAX_HEADER_LIST_SIZE, 16],
          [setting.HEADER_TABLE_SIZE, 0],
          [setting.MAX_CONCURRENT_STREAMS, 0],
        ]),
        http2Frame(
          frameType.HEADERS,
          flag.END_HEADERS,
          client.nextStream(),
          headerBlock(callHeaders(UNARY, [GOOD_KEY])),
        ),
        settingsFrame([
          [setting.INITIAL_WINDOW_SIZE, 2 ** 31 - 1],
          [setting.HEADER_TABLE_SIZE, 65_536],
        ]),
      ],
    }),
  ],
  ['methods', distinct('`maxMethods`', (n) => [`/grpcstack.chaos.Chaos/Method${n}`, GOOD_KEY])],
  ['services', distinct('`maxMethods`', (n) => [`/grpcstack.chaos.Service${n}/Get`, GOOD_KEY])],
  ['API keys', distinct('`cache.maxNegativeEntries`', (n) => [UNARY, ['x-api-key', `bad-${n}`]])],
  ['keys of a rate limit', distinct('`maxKeys`', (n) => [UNARY, GOOD_KEY, [TENANT, `tenant-${n}`]])],
  [
    'addresses behind a proxy',
    distinct(
      '`maxKeys`',
      (n) => [UNARY, GOOD_KEY, ['x-forwarded-for', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`]],
      TRUSTED_PROXY,
    ),
  ],
  ['metadata names', distinct('nothing is remembered', (n) => [UNARY, GOOD_KEY, [`x-name-${n}`, 'y']])],
  [
    'request ids and trace contexts',
    distinct('nothing is remembered', (n) => [
      UNARY,
      GOOD_KEY,
      ['x-request-id', `id-${n}`],
      ['traceparent', `00-${(n + 1).toString(16).padStart(32, '0')}-${(n + 1).toString(16).padStart(16, '0')}-01`],
      ['tracestate', `a=${n}`],
      ['baggage', `b${n}=${n}`],
    ]),
  ],
  [
    'connections without calls',
    {
      boundedBy: '`grpc.max_connection_idle_ms`',
      limited: true,
      run: async ({ port, count }) => {
        const connections = Math.min(count, 1000)
        for (let i = 0; i < connections; i++) await FrameClient.connect({ port, from: ATTACKER })
        return connections
      },
    },
  ],
])
