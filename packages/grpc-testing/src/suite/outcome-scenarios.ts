import { status as Code } from '@grpc/grpc-js'
import { type Behaviour, echo, endWith } from '../behaviours.ts'
import { metadataOf } from '../server-rpc.ts'
import { unparsable, unserializable } from '../test-service.ts'
import { requestStreams, responseStreams, type Scenario, someRequests } from './scenario.ts'

const trailers = () => metadataOf({ trailer: 'last words', 'trailer-bin': Buffer.from([0, 1, 255]) })
const headers = () => metadataOf({ header: 'first words', 'header-bin': Buffer.from([255, 0]) })

const answer: Behaviour = async (rpc) => {
  rpc.sendHeaders(headers())
  await rpc.readAll()
  await rpc.write({ text: 'one' })
  if (responseStreams.includes(rpc.pattern)) await rpc.write({ text: 'two' })
  rpc.end({ metadata: trailers() })
}

const failAfterMessages: Behaviour = async (rpc) => {
  rpc.sendHeaders(headers())
  await rpc.readAll()
  if (responseStreams.includes(rpc.pattern)) for (const text of ['one', 'two']) await rpc.write({ text })
  rpc.end({ code: Code.ABORTED, details: 'on second thoughts', metadata: trailers() })
}

const failing = (code: Code): Behaviour =>
  endWith({ code, details: `ended with ${Code[code]}: 100% – œ`, metadata: trailers() })

const codes = Object.values(Code).filter((code): code is Code => typeof code === 'number' && code !== Code.OK)

/** How calls end that run to their end. */
export const outcomeScenarios: readonly Scenario[] = [
  {
    name: 'success, with headers and trailers',
    async play(world, pattern) {
      const requests = someRequests(pattern)
      const metadata = metadataOf({ plain: 'text', 'some-bin': Buffer.from([1, 2, 3]) })
      await world.start(pattern, { requests, metadata, behaviour: answer }).done
    },
  },
  {
    name: 'success, headers left to grpc-js',
    async play(world, pattern) {
      await world.start(pattern, { requests: someRequests(pattern), behaviour: echo }).done
    },
  },
  {
    name: 'a refusal with trailers, before anything is read',
    handlersVary: true,
    async play(world, pattern) {
      await world.start(pattern, { requests: someRequests(pattern), behaviour: failing(Code.FAILED_PRECONDITION) }).done
    },
  },
  {
    name: 'a failure after headers and messages',
    async play(world, pattern) {
      await world.start(pattern, { requests: someRequests(pattern), behaviour: failAfterMessages }).done
    },
  },
  {
    name: 'each status code',
    patterns: ['unary'],
    async play(world, pattern) {
      for (const code of codes) await world.start(pattern, { behaviour: failing(code) }).done
    },
  },
  {
    name: 'a handler that throws',
    // The words are those of the server in use, not of the interceptors.
    detailsVary: true,
    handlersVary: true,
    async play(world, pattern) {
      const behaviour = (): never => {
        throw Object.assign(new Error('the handler gave up'), { code: Code.DATA_LOSS })
      }
      await world.start(pattern, { requests: someRequests(pattern), behaviour }).done
    },
  },
  {
    name: 'empty streams',
    async play(world, pattern) {
      const requests = requestStreams.includes(pattern) ? [] : [{ n: 0 }]
      await world.start(pattern, { requests }).done
    },
  },
  {
    name: 'an answer before anything was read',
    patterns: requestStreams,
    handlersVary: true,
    async play(world, pattern) {
      const behaviour: Behaviour = async (rpc) => {
        await rpc.write({ text: 'never mind' })
        rpc.end({ metadata: trailers() })
      }
      const rpc = world.start(pattern, { behaviour })
      await rpc.write({ text: 'one' })
      await rpc.done
      rpc.end()
    },
  },
  {
    name: 'a request that cannot be serialized',
    handlersVary: true,
    async play(world, pattern) {
      await world.start(pattern, { requests: [unserializable] }).done
    },
  },
  {
    name: 'a response that cannot be parsed',
    handlersVary: true,
    async play(world, pattern) {
      const behaviour: Behaviour = async (rpc) => {
        await rpc.readAll()
        await rpc.write(unparsable)
        rpc.end()
      }
      await world.start(pattern, { requests: someRequests(pattern), behaviour }).done
    },
  },
  {
    name: 'a request that cannot be parsed',
    detailsVary: true,
    handlersVary: true,
    async play(world, pattern) {
      await world.start(pattern, { requests: [unparsable] }).done
    },
  },
  {
    name: 'a response that cannot be serialized',
    handlersVary: true,
    async play(world, pattern) {
      const behaviour: Behaviour = async (rpc) => {
        await rpc.readAll()
        await rpc.write(unserializable)
        rpc.end()
      }
      // Who has something to say in the headers has said it by then, and grpc-js takes back its own.
      const rpc = await world.startAside(pattern, { requests: someRequests(pattern), behaviour }).done
      return { same: [rpc.status?.code, rpc.messages] }
    },
  },
  {
    name: 'twenty calls at once',
    async play(world, pattern) {
      const calls = Array.from({ length: 20 }, (_, i) =>
        world.start(pattern, { requests: [{ text: `call ${i}`, n: 2 }] }),
      )
      const finished = await Promise.all(calls.map((call) => call.done))
      return { same: finished.map(({ messages }) => messages) }
    },
    handlersVary: true,
  },
]
