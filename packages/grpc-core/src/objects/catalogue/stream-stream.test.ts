import { TestClient } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter } from '../../../test/greeter.ts'
import { collect, type GreeterServer, startGreeter } from '../../../test/greeter-server.ts'
import { createClient, interceptChannel, type StreamStreamClientInterceptor } from '../../index.ts'

/* What gRPC Python's tests of asynchronous stream-stream client interceptors, and of those of several kinds, assert. */

let greeter: GreeterServer
beforeAll(async () => {
  greeter = await startGreeter()
})
afterAll(() => greeter.stop())

type Intercept = StreamStreamClientInterceptor<Ask, Answer>['interceptStreamStream']

const seen = { paths: [] as string[], requests: 0, answers: 0 }
const counting: Intercept = (continuation, details, requests) => {
  seen.paths.push(details.method)
  async function* countedRequests(): AsyncGenerator<Ask> {
    for await (const request of requests) {
      seen.requests++
      yield request
    }
  }
  const call = continuation(details, countedRequests())
  async function* countedAnswers(): AsyncGenerator<Answer> {
    for await (const answer of call) {
      seen.answers++
      yield answer
    }
  }
  return countedAnswers()
}

function reset(): void {
  seen.paths = []
  seen.requests = seen.answers = 0
}

const three: readonly Ask[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
const answers = [{ text: 'Hello a' }, { text: 'Hello b' }, { text: 'Hello c' }]

describe('stream-stream client interceptors', () => {
  // reference: symbol 8
  it('E1: messages pass both ways, given as an iterator', async () => {
    reset()
    const client = createClient(Greeter, interceptChannel(greeter.channel, { interceptStreamStream: counting }))
    expect(await collect(client.chat(three))).toEqual(answers)
    expect(seen).toMatchObject({ requests: 3, answers: 3 })
  })

  it('E2: messages pass both ways, written and read in turn', async () => {
    reset()
    const channel = interceptChannel(greeter.channel, { interceptStreamStream: counting })
    const { path, requestSerialize, responseDeserialize } = Greeter.chat
    const call = channel.client(TestClient).makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    const responses = call[Symbol.asyncIterator]()
    for (const [i, request] of three.entries()) {
      call.write(request)
      expect(await responses.next()).toEqual({ done: false, value: answers[i] })
    }
    call.end()
    expect((await responses.next()).done).toBe(true)
    expect(seen).toMatchObject({ requests: 3, answers: 3 })
  })

  // reference: symbol 7
  it('E3: two of them, one around the other', async () => {
    reset()
    const twice = { interceptStreamStream: counting }
    const client = createClient(Greeter, interceptChannel(greeter.channel, twice, twice))
    expect(await collect(client.chat(three))).toEqual(answers)
    expect(seen).toMatchObject({ requests: 6, answers: 6 })
  })

  it('E4: the interceptor sees the full path of the method', async () => {
    reset()
    const client = createClient(Greeter, interceptChannel(greeter.channel, { interceptStreamStream: counting }))
    await collect(client.chat(three))
    expect(seen.paths).toEqual(['/greet.v1.Greeter/Chat'])
  })

  // reference: symbol 9
  it('E5: one object serves all four kinds', async () => {
    const called: string[] = []
    const counts: Record<string, number> = {}
    async function* count<T>(what: string, messages: AsyncIterable<T>): AsyncGenerator<T> {
      for await (const message of messages) {
        counts[what] = (counts[what] ?? 0) + 1
        yield message
      }
    }
    const channel = interceptChannel(greeter.channel, {
      interceptUnaryUnary(continuation, details, request) {
        called.push('unary-unary')
        return continuation(details, request)
      },
      interceptUnaryStream(continuation, details, request) {
        called.push('unary-stream')
        return count('greetMany', continuation(details, request))
      },
      interceptStreamUnary(continuation, details, requests) {
        called.push('stream-unary')
        return continuation(details, count('greetAll', requests))
      },
      interceptStreamStream(continuation, details, requests) {
        called.push('stream-stream')
        return count('answers', continuation(details, count('requests', requests)))
      },
    })
    const client = createClient(Greeter, channel)
    expect(await client.greet({ name: 'a' })).toEqual({ text: 'Hello a' })
    expect(await collect(client.greetMany({ name: 'a', times: 2 }))).toHaveLength(2)
    expect(await client.greetAll(three)).toEqual({ text: 'a b c' })
    expect(await collect(client.chat(three))).toEqual(answers)
    expect(called).toEqual(['unary-unary', 'unary-stream', 'stream-unary', 'stream-stream'])
    expect(counts).toEqual({ greetMany: 2, greetAll: 3, requests: 3, answers: 3 })
  })
})
