import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { clientInterceptors, serverInterceptors } from '@grpc-stack/grpc-core'
import { stackNamed } from './fuzz/worlds.ts'
import type { PartOptions, Section } from './section.ts'
import { type Item, Stub, service } from './service.ts'
import { delay } from './turns.ts'

const MB = 2 ** 20
const MESSAGE_BYTES = 64 * 1024
/** What is slow stands still for a moment after so many messages. */
const PAUSE_EVERY = 16
const PAUSE_MS = 4
const NS_PER_MS = 1e6

/**
 * What the process may grow by while it holds both sides of a stream: windows of HTTP/2, buffers of the streams, the bounded record of
 * `retry()`, and for the resident size what V8 allocates before it collects.
 */
const BOUND_BYTES = { held: 48 * MB, resident: 256 * MB } as const

const streams = ['clientStream', 'serverStream', 'bidi'] as const
type Streams = (typeof streams)[number]
const speeds = ['slow reader', 'slow writer'] as const
type Speed = (typeof speeds)[number]

/** A long stream of each kind through the full stack, where one side is slower than the other: memory stays under a bound. */
export async function transfer({ quick, say }: PartOptions): Promise<Section> {
  const count = (quick ? 32 * MB : 1024 * MB) / MESSAGE_BYTES
  const rows: (string | number)[][] = []
  let faults = 0
  for (const pattern of streams) {
    for (const speed of speeds) {
      const { row, wrong } = await stream(pattern, speed, count)
      rows.push([`${pattern}, ${speed}`, ...row])
      faults += wrong.length
      for (const fault of wrong) say(`\ntransfer, ${pattern}, ${speed}: ${fault}`)
    }
  }
  return {
    title:
      `${(count * MESSAGE_BYTES) / MB} MiB through streams of the full stack, client and server in one process, in messages of 64 KiB. ` +
      `What the process holds after a collection may grow by ${BOUND_BYTES.held / MB} MiB, its resident size by ${BOUND_BYTES.resident / MB} MiB:`,
    head: ['', 'messages', 's', 'held, MiB', 'resident, MiB', 'event loop p99, ms', 'worst, ms'],
    rows,
    calls: rows.length,
    faults,
  }
}

async function stream(
  pattern: Streams,
  speed: Speed,
  count: number,
): Promise<{ row: (string | number)[]; wrong: string[] }> {
  const { client = [], server: ofServer = [] } = stackNamed('full stack')
  const reader = new Pace(speed === 'slow reader')
  const writer = new Pace(speed === 'slow writer')
  const server = new Server({ interceptors: serverInterceptors(...ofServer) })
  server.addService(service, handlers(reader, writer, count))
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const stub = new Stub(`127.0.0.1:${port}`, credentials.createInsecure(), {
    interceptors: clientInterceptors(...client),
    'grpc.use_local_subchannel_pool': 1,
  })
  const memory = new MemoryWatch()
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()
  const begun = performance.now()
  const wrong: string[] = []
  let arrived = 0
  try {
    arrived = await run(stub, pattern, reader, writer, count)
  } catch (error) {
    wrong.push(`the RPC failed: ${(error as Error).message}`)
  } finally {
    loop.disable()
    memory.stop()
    stub.close()
    server.forceShutdown()
  }
  if (arrived !== count) wrong.push(`${arrived} of ${count} messages arrived`)
  const { heldBytes, residentBytes } = memory
  if (heldBytes > BOUND_BYTES.held) wrong.push(`held ${heldBytes} bytes more`)
  if (residentBytes > BOUND_BYTES.resident) wrong.push(`the resident size grew by ${residentBytes} bytes`)
  const mb = (bytes: number): string => (bytes / MB).toFixed(1)
  const ms = (ns: number): string => (ns / NS_PER_MS).toFixed(1)
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  return {
    row: [arrived, seconds, mb(heldBytes), mb(residentBytes), ms(loop.percentile(99)), ms(loop.max)],
    wrong,
  }
}

const message = (n: number): Item => ({ n, size: MESSAGE_BYTES - 4 })

function handlers(reader: Pace, writer: Pace, count: number) {
  return {
    unary: () => undefined, // not called
    clientStream: async (call: ServerReadableStream<Item, Item>, respond: sendUnaryData<Item>) => {
      respond(null, { n: await readAll(call, reader), size: 1 })
    },
    serverStream: async (call: ServerWritableStream<Item, Item>) => {
      await writeAll(call, writer, count)
    },
    bidi: async (call: ServerDuplexStream<Item, Item>) => {
      // Node would destroy both directions when one has ended.
      for await (const { n } of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Item>) {
        if (!call.write(message(n))) await once(call, 'drain')
      }
      call.end()
    },
  }
}

/** Resolves to how many messages have arrived where they are read. */
async function run(stub: Stub, pattern: Streams, reader: Pace, writer: Pace, count: number): Promise<number> {
  const metadata = new Metadata()
  if (pattern === 'serverStream') return await readAll(stub.serverStream({ n: 0, size: 1 }, metadata, {}), reader)
  if (pattern === 'bidi') {
    const call = stub.bidi(metadata, {})
    const [arrived] = await Promise.all([
      readAll(call.iterator({ destroyOnReturn: false }), reader),
      writeAll(call, writer, count),
    ])
    return arrived
  }
  return await new Promise<number>((resolve, reject) => {
    const call = stub.clientStream(metadata, {}, (error, response) =>
      error ? reject(error) : resolve(response?.n ?? -1),
    )
    writeAll(call, writer, count).catch(reject)
  })
}

async function readAll(call: AsyncIterable<unknown>, pace: Pace): Promise<number> {
  let expected = 0
  for await (const item of call) {
    const { n } = item as Item // all messages of the service are
    if (n !== expected) throw new Error(`message ${n} came instead of ${expected}`)
    expected++
    await pace.step()
  }
  return expected
}

interface Writable extends NodeJS.EventEmitter {
  write(item: Item): boolean
  end(): unknown
}

async function writeAll(call: Writable, pace: Pace, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    if (!call.write(message(n))) await once(call, 'drain')
    await pace.step()
  }
  call.end()
}

class Pace {
  readonly #slow: boolean
  #steps = 0

  constructor(slow: boolean) {
    this.#slow = slow
  }

  async step(): Promise<void> {
    if (this.#slow && ++this.#steps % PAUSE_EVERY === 0) await delay(PAUSE_MS)
  }
}

const RESIDENT_EVERY_MS = 20
/** Collecting everything takes its time, too. */
const HELD_EVERY = 25

/** How much more the process held at its height than at the start. */
class MemoryWatch {
  heldBytes = 0
  residentBytes = 0
  readonly #held = held()
  readonly #resident = process.memoryUsage.rss()
  readonly #timer: NodeJS.Timeout
  #times = 0

  constructor() {
    this.#timer = setInterval(() => {
      this.residentBytes = Math.max(this.residentBytes, process.memoryUsage.rss() - this.#resident)
      if (++this.#times % HELD_EVERY === 0) this.heldBytes = Math.max(this.heldBytes, held() - this.#held)
    }, RESIDENT_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** Objects and buffers, after a collection. */
function held(): number {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start Node with --expose-gc')
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
