import { type Behaviour, manual } from '../behaviours.ts'
import type { ClientRpc } from '../client-rpc.ts'
import { Gate, settle } from '../gate.ts'
import type { ServerRpc } from '../server-rpc.ts'
import { responseStreams, type Scenario, someRequests } from './scenario.ts'

const DEADLINES_MS = [60, 300, 2000]

/** Cancels, deadlines, and servers that go away. */
export const endingScenarios: readonly Scenario[] = [
  {
    name: 'a cancel right after the call was made',
    handlersVary: true,
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual })
      rpc.cancel()
      await rpc.done
    },
  },
  {
    name: 'a cancel while the handler works',
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual })
      const handler = await world.server.received(0)
      await handler.readAll()
      rpc.cancel()
      await rpc.done
      await handler.closed
      // A handler may not have noticed, and goes on.
      await handler.write({ text: 'too late' })
      handler.end()
    },
  },
  {
    name: 'a cancel in the middle of the response',
    patterns: responseStreams,
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual })
      const handler = await world.server.received(0)
      await handler.readAll()
      await handler.write({ text: 'one' })
      await rpc.messageSeen
      rpc.cancel()
      await rpc.done
      await handler.closed
    },
  },
  {
    name: 'a cancel in the middle of the requests',
    patterns: ['clientStream', 'bidi'],
    async play(world, pattern) {
      const rpc = world.start(pattern, { behaviour: manual })
      const handler = await world.server.received(0)
      await rpc.write({ text: 'one' })
      await handler.read()
      rpc.cancel()
      await rpc.done
      await handler.closed
    },
  },
  {
    name: 'a cancel, twice, after the end',
    async play(world, pattern) {
      const rpc = await world.start(pattern, { requests: someRequests(pattern) }).done
      rpc.cancel()
      rpc.cancel()
      await settle()
    },
  },
  {
    name: 'a deadline the handler does not meet',
    handlersVary: true,
    async play(world, pattern) {
      // On a busy machine a call may not reach its handler so soon: then once more, with a later deadline.
      for (const ms of DEADLINES_MS) {
        const read = new Gate()
        let handler: ServerRpc | undefined
        // A behaviour of its own, so that a call which comes too late is not taken for the next.
        const behaviour: Behaviour = async (received) => {
          await received.readAll()
          if (received.isClosed) return
          handler = received
          read.open()
        }
        const options = { deadline: Date.now() + ms }
        const rpc = world.startAside(pattern, { requests: someRequests(pattern), behaviour, options })
        await Promise.race([read.opened, rpc.done])
        const reached = handler
        await rpc.done
        if (reached === undefined) continue
        await reached.closed
        // Which side's clock speaks first is chance, and with it whether the status came with trailers.
        const { events, messages, status, error } = rpc
        const application = { events, messages, code: status?.code, keys: Object.keys(error ?? {}).sort() }
        const { cancelled, requests, deadline } = reached
        return {
          same: { application, cancelled, requests, hasDeadline: deadline !== Number.POSITIVE_INFINITY },
        }
      }
      throw new Error(`no call reached its handler within ${DEADLINES_MS.at(-1)} ms`)
    },
  },
  {
    name: 'a deadline that has passed already',
    detailsVary: true,
    handlersVary: true,
    async play(world, pattern) {
      const options = { deadline: new Date(Date.now() - 1000) }
      await world.start(pattern, { requests: someRequests(pattern), options }).done
    },
  },
  {
    name: 'a deadline that is met',
    async play(world, pattern) {
      const options = { deadline: new Date(Date.now() + 60_000) }
      await world.start(pattern, { requests: someRequests(pattern), options }).done
    },
  },
  {
    name: 'a connection lost in the middle of a call',
    detailsVary: true,
    async play(world, pattern) {
      const rpc = world.start(pattern, { requests: someRequests(pattern), behaviour: manual })
      const handler = await world.server.received(0)
      await handler.readAll()
      handler.sendHeaders({ early: 'yes' })
      if (responseStreams.includes(pattern)) await handler.write({ text: 'one' })
      if (world.showsHeadersAtOnce(pattern)) await rpc.headersSeen
      if (responseStreams.includes(pattern)) await rpc.messageSeen
      world.server.kill()
      await rpc.done
      await handler.closed
    },
  },
  {
    name: 'a call on a closed channel',
    detailsVary: true,
    handlersVary: true,
    async play(world, pattern) {
      await world.start(pattern, { requests: someRequests(pattern) }).done
      world.client.close()
      return { same: await outcomeOf(() => world.startAside(pattern, { requests: someRequests(pattern) })) }
    },
  },
]

/** grpc-js throws; an interceptor that has to wait before it lets the call through makes it an UNAVAILABLE. */
async function outcomeOf(call: () => ClientRpc): Promise<string> {
  try {
    const { status } = await call().done
    return status?.code === 14 ? 'refused' : `status ${status?.code}`
  } catch (error) {
    return error instanceof Error && error.message === 'Channel has been shut down' ? 'refused' : String(error)
  }
}
