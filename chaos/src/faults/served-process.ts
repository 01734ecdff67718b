// A server in a process of its own. The handlers of the calls that ask for it tell the parent when they have come to a moment of the
// call, and wait there until it lets them go on.
import { Metadata, ServerCredentials } from '@grpc/grpc-js'
import { createServer } from '@grpc-stack/grpc-core'
import { keepTraceContext } from '../fuzz/observers.ts'
import { stackNamed } from '../fuzz/worlds.ts'
import { type Item, service } from '../service.ts'
import { type FromServer, MOMENT, type Moment, type ToServer } from './moments.ts'

const [stack = '', port = '0', waits] = process.argv.slice(2)
const { server: interceptors = [], check } = stack === 'bare' ? {} : stackNamed(stack)
const server = createServer({ interceptors })

let handlers = 0
let handled = 0
let goOn: () => void = () => undefined
const tell = (message: FromServer): void => void process.send?.(message)

interface AnyCall {
  readonly metadata: Metadata
  readonly cancelled: boolean
  sendMetadata(headers: Metadata): void
  on(event: 'cancelled', listener: () => void): unknown
}

async function reach(call: AnyCall, moment: Moment): Promise<void> {
  if (waits !== 'waits' || call.metadata.get(MOMENT)[0] !== moment || call.cancelled) return
  await new Promise<void>((resolve) => {
    goOn = resolve
    call.on('cancelled', resolve)
    tell({ at: moment })
  })
}

async function begin(call: AnyCall): Promise<void> {
  await reach(call, 'before headers')
  if (!call.cancelled) call.sendMetadata(new Metadata())
  await reach(call, 'after headers')
}

async function read(call: AnyCall & AsyncIterable<Item>): Promise<void> {
  let count = 0
  for await (const _ of call) if (++count === 2) await reach(call, 'mid-stream')
  await reach(call, 'half-closed')
}

const counted = async <T>(work: () => Promise<T>): Promise<T> => {
  handlers++
  try {
    return await work()
  } finally {
    handlers--
    handled++
  }
}

const RESPONSE: Item = { n: 1, size: 1000 }

server.addService(service, {
  unary: (call) =>
    counted(async () => {
      await begin(call)
      return RESPONSE
    }),
  clientStream: (call) =>
    counted(async () => {
      await begin(call)
      await read(call)
      return RESPONSE
    }),
  async *serverStream(call): AsyncGenerator<Item> {
    handlers++
    try {
      await begin(call)
      yield RESPONSE
      await reach(call, 'mid-stream')
      yield RESPONSE
      await reach(call, 'after the last message')
    } finally {
      handlers--
      handled++
    }
  },
  async *bidi(call): AsyncGenerator<Item> {
    handlers++
    try {
      await begin(call)
      yield RESPONSE
      await read(call)
      yield RESPONSE
      await reach(call, 'after the last message')
    } finally {
      handlers--
      handled++
    }
  },
})

keepTraceContext()
process.on('disconnect', () => process.exit())
process.on('message', async (message: ToServer) => {
  if (message === 'go on') goOn()
  else if (message === 'drain') {
    await server.drain(100)
    process.exit()
  } else {
    if (handlers > 0) {
      // A check takes what was recorded, and the record of a call may be there before its handler has returned.
      tell({ handlers, wrong: [] })
      return
    }
    const wrong = (await check?.({ client: undefined, handlers: handled, thrown: 'not made here' })) ?? []
    handled = 0
    tell({ handlers, wrong })
  }
})
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
  if (error) throw error
  tell({ port: bound })
})
