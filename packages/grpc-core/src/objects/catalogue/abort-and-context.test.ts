import { CallCredentials, status as Code, Metadata } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import type { Answer, Ask } from '../../../test/greeter.ts'
import { Greeter } from '../../../test/greeter.ts'
import { collect, failureOf, type GreeterServer, startGreeter } from '../../../test/greeter-server.ts'
import {
  ContextVar,
  createClient,
  interceptChannel,
  type RpcMethodHandler,
  type ServicerContext,
  streamStreamRpcMethodHandler,
  unaryStreamRpcMethodHandler,
  unaryUnaryRpcMethodHandler,
} from '../../index.ts'

/* What gRPC Python's tests of abort and of the propagation of context variables assert. */

let greeter: GreeterServer | undefined
afterEach(() => greeter?.stop())

/** A server whose every RPC this handler serves. */
async function serve(handler: RpcMethodHandler): Promise<GreeterServer['client']> {
  greeter = await startGreeter([{ interceptService: () => handler }])
  return greeter.client
}

describe('context.abort', () => {
  // reference: symbol 43
  it('G1: ends the RPC with code and details, and what follows it never runs', async () => {
    let ran = false
    const client = await serve(
      unaryUnaryRpcMethodHandler((_request: Ask, context) => {
        context.abort(Code.PERMISSION_DENIED, 'not you')
        ran = true
        return { text: 'unreachable' }
      }),
    )
    expect(await failureOf(client.greet({ name: 'Ada' }))).toMatchObject({
      code: Code.PERMISSION_DENIED,
      details: 'not you',
    })
    expect(ran).toBe(false)
  })

  // reference: symbol 42
  it('G1: takes trailing metadata along', async () => {
    const trailers = new Metadata()
    trailers.set('why', 'because')
    const client = await serve(
      unaryUnaryRpcMethodHandler((_request: Ask, context) => {
        context.trailers.set('also', 'this')
        context.abort(Code.RESOURCE_EXHAUSTED, 'later', trailers)
      }),
    )
    const error = await failureOf(client.greet({ name: 'Ada' }))
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, details: 'later' })
    expect([error.metadata.get('why'), error.metadata.get('also')]).toEqual([['because'], ['this']])
    expect(trailers.getMap()).toEqual({ why: 'because' })
  })

  for (const wrong of [Code.OK, 99, 'NOT_FOUND']) {
    it(`G1: makes UNKNOWN of the code ${wrong}, with the details`, async () => {
      const client = await serve(
        unaryUnaryRpcMethodHandler((_request: Ask, context) => context.abort(wrong as Code, 'what now')),
      )
      expect(await failureOf(client.greet({ name: 'Ada' }))).toMatchObject({ code: Code.UNKNOWN, details: 'what now' })
    })
  }

  // Python also has a test that an aborted handler's local variables can be collected, which it skips.

  it('G2: ends the RPC in an async behaviour, for every kind of call', async () => {
    const abort = async (_input: unknown, context: ServicerContext): Promise<never> => {
      await Promise.resolve()
      return context.abort(Code.ABORTED, 'stop')
    }
    const client = await serve(unaryUnaryRpcMethodHandler(abort))
    const stop = { code: Code.ABORTED, details: 'stop' }
    expect(await failureOf(client.greet({ name: 'a' }))).toMatchObject(stop)
    expect(await failureOf(collect(client.greetMany({ name: 'a' })))).toMatchObject(stop)
    expect(await failureOf(client.greetAll([{ name: 'a' }]))).toMatchObject(stop)
    expect(await failureOf(collect(client.chat([])))).toMatchObject(stop)
  })

  // reference: symbol 43
  it('G2: holds although the behaviour swallows it', async () => {
    const swallow = (context: ServicerContext): void => {
      try {
        context.abort(Code.ABORTED, 'swallowed')
      } catch {}
    }
    const status = { code: Code.ABORTED, details: 'swallowed' }
    let client = await serve(
      unaryUnaryRpcMethodHandler((_request: Ask, context): Answer => {
        swallow(context)
        return { text: 'all is well' }
      }),
    )
    expect(await failureOf(client.greet({ name: 'Ada' }))).toMatchObject(status)
    await greeter?.stop()
    client = await serve(
      unaryStreamRpcMethodHandler(async function* (_request: Ask, context): AsyncGenerator<Answer> {
        swallow(context)
        yield { text: 'all is well' }
      }),
    )
    expect(await failureOf(collect(client.greetMany({ name: 'Ada' })))).toMatchObject(status)
  })

  it('G2: holds although something else is thrown after it', async () => {
    const client = await serve(
      unaryUnaryRpcMethodHandler((_request: Ask, context) => {
        try {
          context.abort(Code.ABORTED, 'first')
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: this is what is tested
          throw new Error('in a finally')
        }
      }),
    )
    expect(await failureOf(client.greet({ name: 'Ada' }))).toMatchObject({ code: Code.ABORTED, details: 'first' })
  })

  it('G2: the first of two holds', async () => {
    const client = await serve(
      unaryUnaryRpcMethodHandler((_request: Ask, context) => {
        try {
          context.abort(Code.ABORTED, 'first')
        } catch {
          context.abort(Code.INTERNAL, 'second')
        }
      }),
    )
    // Python raises a usage error out of the second.
    expect(await failureOf(client.greet({ name: 'Ada' }))).toMatchObject({ code: Code.ABORTED, details: 'first' })
  })

  it('G2: after a response of a stream, the client has both', async () => {
    const client = await serve(
      streamStreamRpcMethodHandler(async function* (_requests: AsyncIterable<Ask>, context): AsyncGenerator<Answer> {
        yield { text: 'one' }
        context.abort(Code.ABORTED, 'and no more')
      }),
    )
    const seen: Answer[] = []
    const call = client.chat([{ name: 'Ada' }])
    const failure = failureOf(
      (async () => {
        for await (const answer of call) seen.push(answer)
      })(),
    )
    expect(await failure).toMatchObject({ code: Code.ABORTED, details: 'and no more' })
    expect(seen).toEqual([{ text: 'one' }])
  })
})

describe('context variables', () => {
  const tenant = new ContextVar<string>('tenant', { default: 'none' })

  /** Call credentials that send what the context says, as an authentication plugin does. */
  const plugin = CallCredentials.createFromMetadataGenerator((_options, done) => {
    const metadata = new Metadata()
    metadata.set('tenant', tenant.get())
    done(null, metadata)
  })

  async function echoTenant(): Promise<GreeterServer> {
    return startGreeter([], { greet: ({ metadata }) => ({ text: String(metadata.get('tenant')) }) })
  }

  it('G3: an authentication plugin sees what the caller set', async () => {
    greeter = await echoTenant()
    const warm = await greeter.client.greet({ name: 'warm' })
    expect(warm).toEqual({ text: '' })
    tenant.set('acme')
    expect(await greeter.client.greet({ name: 'Ada' }, { credentials: plugin })).toEqual({ text: 'acme' })
  })

  it('G3: 32 callers with 32 calls each see their own value and no other', async () => {
    greeter = await echoTenant()
    // The value is set by an interceptor too: it stays in the call it was set in.
    const channel = interceptChannel(greeter.channel, {
      interceptUnaryUnary: async (continuation, details, request) => {
        const own = `${tenant.get()}/${(request as Ask).name}`
        await Promise.resolve()
        tenant.set(own)
        return await continuation(details.with({ credentials: plugin }), request)
      },
    })
    const client = createClient(Greeter, channel)
    const callers = Array.from({ length: 32 }, async (_, caller) => {
      await Promise.resolve()
      tenant.set(`caller ${caller}`)
      const answers = await Promise.all(Array.from({ length: 32 }, (_, n) => client.greet({ name: `${n}` })))
      expect(tenant.get()).toBe(`caller ${caller}`)
      return answers.map(({ text }, n) => text === `caller ${caller}/${n}`)
    })
    const right = (await Promise.all(callers)).flat()
    expect(right).toHaveLength(1024)
    expect(right.every(Boolean)).toBe(true)
  })
})
