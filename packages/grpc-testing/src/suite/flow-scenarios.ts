import { status as Code } from '@grpc/grpc-js'
import { type Behaviour, manual } from '../behaviours.ts'
import { settle, standstill } from '../gate.ts'
import { requestStreams, responseStreams, type Scenario, someRequests } from './scenario.ts'

const LARGE = 'x'.repeat(1024 * 1024)
// Half a flow-control window each, and far more of them than any buffer on the way should hold.
const PIECE = 'x'.repeat(32 * 1024)
const PIECES = 80

/** Who waits for whom: headers, reads, writes, and buffers that must not grow. */
export const flowScenarios: readonly Scenario[] = [
  {
    name: 'headers long before the answer',
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual })
      const handler = await world.server.received(0)
      handler.sendHeaders({ early: 'yes' })
      if (world.showsHeadersAtOnce(pattern)) await rpc.headersSeen
      await handler.readAll()
      await handler.write({ text: 'late' })
      handler.end()
      await rpc.done
    },
  },
  {
    name: 'question and answer, in turn',
    patterns: ['bidi'],
    async play(world, pattern) {
      const rpc = world.start(pattern)
      for (let turn = 1; turn <= 5; turn++) {
        await rpc.write({ text: `turn ${turn}` })
        while (rpc.messages.length < turn && !rpc.isDone) await settle(1)
      }
      rpc.end()
      await rpc.done
    },
  },
  {
    name: 'large messages',
    async play(world, pattern) {
      const requests = someRequests(pattern).map((request) => ({ ...request, n: 2, data: LARGE }))
      const rpc = await world.start(pattern, { requests }).done
      return { same: rpc.messages.map(({ data }) => data?.length) }
    },
    // Comparing megabytes says no more than comparing their lengths.
    handlersVary: true,
  },
  {
    name: 'a reader that stops reading',
    patterns: responseStreams,
    handlersVary: true,
    async play(world, pattern) {
      let written = 0
      const behaviour: Behaviour = async (rpc) => {
        await rpc.readAll()
        for (let n = 0; n < PIECES && !rpc.isClosed; n++) {
          await rpc.write({ n, data: PIECE })
          written++
        }
        rpc.end()
      }
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour })
      await rpc.messageSeen
      rpc.pause()
      const ahead = await standstill(() => written)
      const early = rpc.status?.code
      rpc.resume()
      await rpc.done
      return { same: { early, order: rpc.messages.map(({ n }) => n) }, atMost: { messagesAhead: ahead } }
    },
  },
  {
    name: 'a server that does not read',
    patterns: requestStreams,
    handlersVary: true,
    async play(world, pattern) {
      const rpc = world.start(pattern, { behaviour: manual })
      let written = 0
      const writing = (async () => {
        for (let n = 0; n < PIECES; n++) {
          await rpc.write({ n, data: PIECE })
          written++
        }
        rpc.end()
      })()
      const handler = await world.server.received(0)
      const ahead = await standstill(() => written)
      await handler.readAll()
      await writing
      await handler.write({ text: 'all read' })
      handler.end()
      await rpc.done
      return { same: handler.requests.map(({ n }) => n), atMost: { messagesAhead: ahead } }
    },
  },
  {
    name: 'responses not yet read when the call ends OK',
    patterns: responseStreams,
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), reading: false })
      await (await world.server.received(0)).closed
      await settle()
      const early = world.showsHeadersAtOnce(pattern) ? rpc.events.slice() : []
      rpc.read()
      await rpc.done
      return { same: early }
    },
  },
  {
    name: 'responses not yet read when the call fails',
    patterns: responseStreams,
    async play(world, pattern) {
      const behaviour: Behaviour = async (handler) => {
        await handler.readAll()
        for (const text of ['one', 'two', 'three']) await handler.write({ text })
        handler.end({ code: Code.DATA_LOSS, details: 'lost' })
      }
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour, reading: false })
      await rpc.done
    },
  },
  {
    name: 'responses not yet read when the call is cancelled',
    patterns: responseStreams,
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual, reading: false })
      const handler = await world.server.received(0)
      await handler.readAll()
      await handler.write({ text: 'unread' })
      if (world.showsHeadersAtOnce(pattern)) await rpc.headersSeen
      rpc.cancel()
      await rpc.done
      await handler.closed
    },
  },
]
