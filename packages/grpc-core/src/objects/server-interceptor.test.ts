import { status as Code, Metadata, Server } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { type Answer, type Ask, connect, Greeter } from '../../test/greeter.ts'
import { collect, failureOf, type GreeterServer, greeting, startGreeter } from '../../test/greeter-server.ts'
import { until } from '../../test/observing.ts'
import {
  abort,
  abortHandler,
  ContextVar,
  chain,
  createClient,
  type createServer,
  type HandlerCallDetails,
  type Interceptor,
  type RpcMethodHandler,
  type ServerCall,
  type ServerInterceptor,
  type ServerInterceptorLike,
  type ServiceClient,
  type Status,
  serverInterceptors,
  streamStreamRpcMethodHandler,
  streamUnaryRpcMethodHandler,
  unaryStreamRpcMethodHandler,
  unaryUnaryRpcMethodHandler,
  wrapHandler,
} from '../index.ts'

type GreeterClient = ServiceClient<typeof Greeter>

let greeter: GreeterServer | undefined
afterEach(async () => {
  await greeter?.stop()
  greeter = undefined
})

async function start(...interceptors: readonly ServerInterceptorLike[]): Promise<GreeterClient> {
  greeter = await startGreeter(interceptors)
  return greeter.client
}

const service = (interceptService: ServerInterceptor['interceptService']): ServerInterceptor => ({ interceptService })

const ada: Ask = { name: 'Ada', times: 2 }

/** A call of every kind; those that stream requests send nothing and wait for the server. */
function waitingCalls(client: GreeterClient): Promise<unknown>[] {
  async function* never(): AsyncGenerator<Ask> {
    await new Promise(() => undefined)
  }
  const made = [
    client.greet(ada, { timeoutMs: 5000 }).response,
    collect(client.greetMany(ada, { timeoutMs: 5000 })),
    client.greetAll(never(), { timeoutMs: 5000 }).response,
    collect(client.chat(never(), { timeoutMs: 5000 })),
  ]
  // A test looks at one after the other.
  for (const call of made) call.catch(() => undefined)
  return made
}

/** A call of every kind with nothing to wait for. */
function calls(client: GreeterClient): PromiseLike<unknown>[] {
  return [client.greet(ada), collect(client.greetMany(ada)), client.greetAll([ada]), collect(client.chat([ada]))]
}

/** A plain interceptor that keeps the statuses it sees. */
function watching(): { interceptor: Interceptor; statuses: Status[] } {
  const statuses: Status[] = []
  return {
    statuses,
    interceptor: async function watching(_call, next) {
      const status = await next()
      statuses.push(status)
      return status
    },
  }
}

describe('what interceptService answers', () => {
  // reference: sentence 32, symbol 44
  it('may be abortHandler: any kind of call gets the status at once, and nothing of it is read', async () => {
    const trailers = new Metadata()
    trailers.set('why', 'no token')
    const reads: unknown[] = []
    const watch = watching()
    const reading: Interceptor<ServerCall> = (call, next) => {
      call.onRequest((message) => void reads.push(message))
      return next()
    }
    const client = await start(
      watch.interceptor,
      reading as Interceptor,
      service(() => abortHandler(Code.UNAUTHENTICATED, 'who are you', trailers)),
    )
    for (const call of waitingCalls(client)) {
      const error = await failureOf(call)
      expect(error).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'who are you' })
      expect(error.metadata.get('why')).toEqual(['no token'])
    }
    expect(reads).toEqual([])
    expect(watch.statuses).toHaveLength(4)
    expect(watch.statuses[0]).toMatchObject({ code: Code.UNAUTHENTICATED, origin: 'local' })
    expect(() => abortHandler(Code.OK)).toThrow(TypeError)
    expect(() => abortHandler(99 as Code)).toThrow(TypeError)
  })

  for (const nothing of [null, undefined]) {
    // reference: sentence 29, symbol 37
    it(`may be ${nothing}: the method is not found`, async () => {
      const client = await start(service(() => nothing))
      for (const call of waitingCalls(client)) {
        expect(await failureOf(call)).toMatchObject({ code: Code.UNIMPLEMENTED, details: 'Method not found!' })
      }
    })
  }

  for (const [what, invalid] of [
    ['a text', 'handler'],
    ['a function', () => undefined],
    ['an object', { behavior: () => undefined }],
    ['a status', { code: Code.OK }],
  ] as const) {
    // reference: deviation 16
    it(`must not be ${what}: INTERNAL, and the server lives on`, async () => {
      const watch = watching()
      let invalidNow = true
      const client = await start(
        watch.interceptor,
        service((continuation, details) => (invalidNow ? (invalid as never) : continuation(details))),
      )
      for (const call of waitingCalls(client)) {
        expect(await failureOf(call)).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
      }
      expect(watch.statuses[0]?.cause).toMatchObject({ message: expect.stringContaining('instead of a handler') })
      invalidNow = false
      expect(await client.greet(ada)).toEqual({ text: 'Hello Ada' })
    })
  }

  for (const [how, fail] of [
    [
      'thrown',
      (error: Error): never => {
        throw error
      },
    ],
    ['rejected', (error: Error): Promise<never> => Promise.reject(error)],
  ] as const) {
    it(`is INTERNAL with no text of an error that is ${how}, which stays here as the cause`, async () => {
      const secret = new Error('password 1234')
      const watch = watching()
      const client = await start(
        watch.interceptor,
        service(() => fail(secret)),
      )
      for (const call of waitingCalls(client)) {
        expect(await failureOf(call)).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
      }
      expect(watch.statuses.map(({ cause }) => cause)).toEqual([secret, secret, secret, secret])
    })
  }

  it('is the status of an RpcError, with the name of the interceptor that threw it', async () => {
    const watch = watching()
    class Gate implements ServerInterceptor {
      interceptService(): never {
        return abort(Code.PERMISSION_DENIED, 'not you')
      }
    }
    const handsOn = service((continuation, details) => continuation(details))
    const client = await start(watch.interceptor, handsOn, new Gate())
    for (const call of waitingCalls(client)) {
      expect(await failureOf(call)).toMatchObject({ code: Code.PERMISSION_DENIED, details: 'not you' })
    }
    expect(watch.statuses[0]).toMatchObject({ refusedBy: 'Gate', origin: 'local' })
  })

  it('comes too late when the call has ended: cancel and deadline do not wait', async () => {
    let entered = 0
    const watch = watching()
    const client = await start(
      watch.interceptor,
      service(() => {
        entered++
        return new Promise<never>(() => undefined)
      }),
    )
    expect((await failureOf(client.greet(ada, { timeoutMs: 40 }))).code).toBe(Code.DEADLINE_EXCEEDED)
    const call = client.greet(ada)
    await until(() => entered === 2, 'the second call on the server')
    call.cancel()
    expect((await failureOf(call)).code).toBe(Code.CANCELLED)
    await until(() => watch.statuses.length === 2, 'both statuses')
  })
})

describe('the continuation', () => {
  // reference: deviation 20, sentence 27, symbol 35
  it('asks inner interceptor objects at once, in order; plain interceptors run when the handler does', async () => {
    const order: string[] = []
    const named = (name: string): ServerInterceptor =>
      service(async (continuation, details) => {
        order.push(`${name}>`)
        const handler = await continuation(details)
        order.push(`<${name}`)
        return handler
      })
    const plain =
      (name: string): Interceptor =>
      async (_call, next) => {
        order.push(`${name}>`)
        const status = await next()
        order.push(`<${name}`)
        return status
      }
    const client = await start(plain('p0'), named('a'), plain('p1'), chain(named('b'), plain('p2')))
    await client.greet(ada)
    expect(order).toEqual(['p0>', 'a>', 'b>', '<b', '<a', 'p1>', 'p2>', '<p2', '<p1', '<p0'])
  })

  it('does not run the plain interceptors inside when another handler answers', async () => {
    let ran = false
    const client = await start(
      service(async (continuation, details) => {
        await continuation(details)
        return abortHandler(Code.PERMISSION_DENIED, 'no')
      }),
      (_call, next) => {
        ran = true
        return next()
      },
    )
    await failureOf(client.greet(ada))
    expect(ran).toBe(false)
  })

  // reference: deviation 21
  it('asks the inner ones again each time: none can be passed by', async () => {
    let asked = 0
    const client = await start(
      service(async (continuation, details) => {
        await continuation(details)
        return continuation(details)
      }),
      service(() => {
        asked++
        return abortHandler(Code.UNAUTHENTICATED, 'no')
      }),
    )
    expect((await failureOf(client.greet(ada))).code).toBe(Code.UNAUTHENTICATED)
    expect(asked).toBe(2)
  })

  it('may be called without being awaited: what fails inside is then no unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown): number => unhandled.push(reason)
    process.on('unhandledRejection', onUnhandled)
    try {
      const client = await start(
        service((continuation, details) => {
          void continuation(details)
          return abortHandler(Code.UNAVAILABLE, 'later')
        }),
        service(() => Promise.reject(new Error('inside'))),
      )
      expect((await failureOf(client.greet(ada))).code).toBe(Code.UNAVAILABLE)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', onUnhandled)
    }
  })

  // reference: deviation 12, symbol 26
  it('hands changed metadata to inner interceptors and the handler', async () => {
    const seen: unknown[] = []
    greeter = await startGreeter(
      [
        service((continuation, details) => {
          const invocationMetadata = details.invocationMetadata.clone()
          invocationMetadata.set('added', 'by a')
          return continuation(details.with({ invocationMetadata }))
        }),
        service((continuation, details) => {
          seen.push(details.invocationMetadata.get('added'))
          details.invocationMetadata.set('in-place', 'by b')
          return continuation(details)
        }),
        (call, next) => {
          seen.push(call.metadata.get('added'), call.metadata.get('in-place'))
          return next()
        },
      ],
      {
        greet: ({ metadata }) => {
          seen.push(metadata.get('added'), metadata.get('in-place'))
          return { text: '' }
        },
      },
    )
    await greeter.client.greet(ada)
    expect(seen).toEqual([['by a'], ['by a'], ['by b'], ['by a'], ['by b']])
  })

  for (const [what, patch] of [
    ['another method', { method: '/greet.v1.Greeter/Chat' }],
    ['an unknown member', { peer: 'me' }],
    ['metadata that is none', { invocationMetadata: {} }],
    ['nothing at all', undefined],
  ] as const) {
    // reference: deviation 13
    it(`refuses ${what}`, async () => {
      const watch = watching()
      const client = await start(
        watch.interceptor,
        service((continuation) => continuation(patch as never)),
      )
      expect((await failureOf(client.greet(ada))).code).toBe(Code.INTERNAL)
      expect(watch.statuses[0]?.cause).toBeInstanceOf(TypeError)
    })
  }
})

describe('the details', () => {
  // reference: sentence 28, sentence 48, symbol 24, symbol 25
  it('describe the RPC, and are frozen', async () => {
    let seen: HandlerCallDetails | undefined
    const client = await start(
      service((continuation, details) => {
        seen = details
        return continuation(details)
      }),
    )
    const deadline = Date.now() + 60_000
    await collect(client.greetMany(ada, { deadline }))
    expect(Object.isFrozen(seen)).toBe(true)
    expect(seen).toMatchObject({ method: '/greet.v1.Greeter/GreetMany', pattern: 'serverStream' })
    expect(seen?.invocationMetadata.get('user-agent')).toHaveLength(1)
    expect(seen?.peer).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(Math.abs((seen?.deadline ?? 0) - deadline)).toBeLessThan(5000)
    expect(seen?.signal.aborted).toBe(false)
    expect(seen?.authContext).toBeDefined()
  })
})

describe('a wrapped handler', () => {
  // reference: deviation 24, sentence 34, symbol 36, symbol 39, symbol 40
  it('may change requests and responses, for every kind of call', async () => {
    async function* loud(asks: AsyncIterable<Ask>): AsyncGenerator<Ask> {
      for await (const ask of asks) yield { ...ask, name: ask.name.toUpperCase() }
    }
    async function* marked(answers: AsyncIterable<Answer>): AsyncGenerator<Answer> {
      for await (const { text } of answers) yield { text: `${text}!` }
    }
    const client = await start(
      service(async (continuation, details) =>
        wrapHandler(
          await continuation(details),
          (behavior, { requestStream, responseStream }) =>
            async (input, context) => {
              const requests = requestStream
                ? loud(input as AsyncIterable<Ask>)
                : { ...(input as Ask), name: (input as Ask).name.toUpperCase() }
              const answer = await behavior(requests, context)
              return responseStream ? marked(answer as AsyncIterable<Answer>) : { text: `${(answer as Answer).text}!` }
            },
        ),
      ),
    )
    expect(await Promise.all(calls(client))).toEqual([
      { text: 'Hello ADA!' },
      [{ text: 'ADA 0!' }, { text: 'ADA 1!' }],
      { text: 'ADA!' },
      [{ text: 'Hello ADA!' }],
    ])
  })

  // reference: symbol 37
  it('may be given to wrapHandler as the promise the continuation returns, and null stays null', async () => {
    let ran = 0
    const client = await start(
      service((continuation, details) =>
        wrapHandler(continuation(details), (behavior) => (input, context) => {
          ran++
          return behavior(input, context)
        }),
      ),
    )
    await Promise.all(calls(client))
    expect(ran).toBe(4)
    expect(wrapHandler(null, (behavior) => behavior)).toBeNull()
    expect(wrapHandler(undefined, (behavior) => behavior)).toBeNull()
    expect(await wrapHandler(Promise.resolve(null), (behavior) => behavior)).toBeNull()
    expect(() => wrapHandler({} as RpcMethodHandler, (behavior) => behavior)).toThrow(TypeError)
    expect(() => wrapHandler(abortHandler(Code.ABORTED), (() => 5) as never)).toThrow(TypeError)
    expect(() => wrapHandler(null, 'wrapper' as never)).toThrow(TypeError)
  })

  // reference: symbol 40
  it('keeps headers, trailers, details and the cause of what is inside', async () => {
    const cause = new Error('why')
    const watch = watching()
    const hands: unknown[] = []
    greeter = await startGreeter(
      [
        watch.interceptor,
        service((continuation, details) =>
          wrapHandler(continuation(details), (behavior) => async (input, context) => {
            context.trailers.set('outer', 'o')
            try {
              return await behavior(input, context)
            } catch (error) {
              hands.push(error)
              throw error
            }
          }),
        ),
      ],
      {
        greet: (call, callback) => {
          const headers = new Metadata()
          headers.set('header', 'h')
          call.sendMetadata(headers)
          const trailers = new Metadata()
          trailers.set('inner', 'i')
          const failure = Object.assign(new Error('boom'), {
            code: Code.DATA_LOSS,
            details: 'lost',
            metadata: trailers,
            cause,
          })
          if (call.request.name === 'nobody') callback(failure)
          else callback(null, { text: 'fine' }, trailers)
        },
      },
    )
    const { client } = greeter
    const good = client.greet(ada)
    expect(await good).toEqual({ text: 'fine' })
    expect((await good.headers).get('header')).toEqual(['h'])
    expect([(await good.trailers).get('inner'), (await good.trailers).get('outer')]).toEqual([['i'], ['o']])
    const bad = client.greet({ name: 'nobody' })
    const error = await failureOf(bad)
    expect(error).toMatchObject({ code: Code.DATA_LOSS, details: 'lost' })
    expect([error.metadata.get('inner'), error.metadata.get('outer')]).toEqual([['i'], ['o']])
    expect((await bad.headers).get('header')).toEqual(['h'])
    expect(hands).toEqual([expect.objectContaining({ code: Code.DATA_LOSS, details: 'lost' })])
    expect(watch.statuses.map(({ code }) => code)).toEqual([Code.OK, Code.DATA_LOSS])
    expect(watch.statuses[1]?.cause).toMatchObject({ message: 'boom' })
  })

  it('may answer in place of what failed inside', async () => {
    greeter = await startGreeter(
      [
        service((continuation, details) =>
          wrapHandler(continuation(details), (behavior) => async (input, context) => {
            try {
              return await behavior(input, context)
            } catch {
              return { text: 'fallback' }
            }
          }),
        ),
      ],
      { greet: () => abort(Code.UNAVAILABLE, 'down') },
    )
    expect(await greeter.client.greet(ada)).toEqual({ text: 'fallback' })
  })

  it('may run what is inside once', async () => {
    let handled = 0
    const watch = watching()
    greeter = await startGreeter(
      [
        watch.interceptor,
        service((continuation, details) =>
          wrapHandler(continuation(details), (behavior) => async (input, context) => {
            await behavior(input, context)
            return await behavior(input, context)
          }),
        ),
      ],
      {
        greet: () => {
          handled++
          return { text: '' }
        },
      },
    )
    expect((await failureOf(greeter.client.greet(ada))).code).toBe(Code.INTERNAL)
    expect(watch.statuses[0]?.cause).toMatchObject({ message: expect.stringContaining('second time') })
    expect(handled).toBe(1)
  })

  it('cannot run in another RPC than its own', async () => {
    let kept: RpcMethodHandler | null = null
    const watch = watching()
    const client = await start(
      watch.interceptor,
      service(async (continuation, details) => {
        kept ??= await continuation(details)
        return kept
      }),
    )
    expect(await client.greet(ada)).toEqual({ text: 'Hello Ada' })
    expect((await failureOf(client.greet(ada))).code).toBe(Code.INTERNAL)
    expect(watch.statuses[1]?.cause).toMatchObject({ message: expect.stringContaining('outside of its RPC') })
  })

  it('ends what is inside when it ends first', async () => {
    const inner = watching()
    const client = await start(
      service((continuation, details) =>
        wrapHandler(continuation(details), (behavior) => async (input, context) => {
          void behavior(input, context)
          return { text: 'first' }
        }),
      ),
      inner.interceptor,
      () => new Promise<never>(() => undefined),
    )
    expect(await client.greet(ada)).toEqual({ text: 'first' })
    await until(() => inner.statuses.length > 0, 'the status inside')
    expect(inner.statuses[0]?.code).toBe(Code.CANCELLED)
  })

  it('sees its requests fail and its signal abort when the RPC ends over its head, and so does what is inside', async () => {
    const inner = watching()
    const seen: unknown[] = []
    const client = await start(
      (call, next) => {
        call.deadline = Date.now() + 80
        return next()
      },
      service((continuation, details) =>
        wrapHandler(continuation(details), (behavior) => (input, context) => {
          context.signal.addEventListener('abort', () => seen.push('aborted'))
          async function* failing(): AsyncGenerator<unknown> {
            try {
              yield* input as AsyncIterable<unknown>
            } catch (error) {
              seen.push((error as Status).code)
              throw error
            }
          }
          return behavior(failing(), context)
        }),
      ),
      inner.interceptor,
    )
    async function* asks(): AsyncGenerator<Ask> {
      yield ada
      await new Promise(() => undefined)
    }
    const answers: Answer[] = []
    const failure = failureOf(
      (async () => {
        for await (const answer of client.chat(asks())) answers.push(answer)
      })(),
    )
    expect((await failure).code).toBe(Code.DEADLINE_EXCEEDED)
    expect(answers).toEqual([{ text: 'Hello Ada' }])
    await until(() => inner.statuses.length > 0 && seen.length === 2, 'the end inside')
    expect(inner.statuses[0]?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(seen.toSorted()).toEqual([Code.DEADLINE_EXCEEDED, 'aborted'])
  })

  it('closes the requests it made when what is inside ends without them', async () => {
    let closed = false
    greeter = await startGreeter(
      [
        service((continuation, details) =>
          wrapHandler(continuation(details), (behavior) => async (_input, context) => {
            async function* endless(): AsyncGenerator<Ask> {
              try {
                for (;;) yield ada
              } finally {
                closed = true
              }
            }
            const answer = await behavior(endless(), context)
            await until(() => closed, 'the end of the requests')
            return answer
          }),
        ),
      ],
      {
        greetAll: async (call) => {
          for await (const { name } of call) return { text: name }
          return { text: '' }
        },
      },
    )
    expect(await greeter.client.greetAll([])).toEqual({ text: 'Ada' })
  })

  it('is asked for no more responses than the client reads', async () => {
    let made = 0
    const client = await start(
      service(() =>
        unaryStreamRpcMethodHandler(async function* (): AsyncGenerator<Answer> {
          for (;;) {
            made++
            yield { text: 'x'.repeat(100_000) }
          }
        }),
      ),
    )
    const call = client.greetMany(ada)
    const responses = call[Symbol.asyncIterator]()
    await responses.next()
    let before = Number.NaN
    while (made !== before) {
      before = made
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(made).toBeLessThan(1000)
    await responses.return?.()
  })

  it('ends with the status of what its requests throw', async () => {
    const client = await start(
      service((continuation, details) =>
        wrapHandler(continuation(details), (behavior) => (input, context) => {
          async function* checked(): AsyncGenerator<Ask> {
            for await (const ask of input as AsyncIterable<Ask>) {
              if (ask.name === 'nobody') abort(Code.INVALID_ARGUMENT, 'nobody may ask')
              yield ask
            }
          }
          return behavior(checked(), context)
        }),
      ),
    )
    const asks = [ada, { name: 'nobody' }]
    const refused = { code: Code.INVALID_ARGUMENT, details: 'nobody may ask' }
    expect(await failureOf(client.greetAll(asks))).toMatchObject(refused)
    expect(await failureOf(collect(client.chat(asks)))).toMatchObject(refused)
  })
})

describe('a handler of its own', () => {
  it('sees its requests fail when the RPC ends over its head', async () => {
    const seen: unknown[] = []
    const client = await start(
      (call, next) => {
        call.deadline = Date.now() + 50
        return next()
      },
      service(() =>
        streamUnaryRpcMethodHandler(async (asks: AsyncIterable<Ask>): Promise<Answer> => {
          try {
            return { text: String((await collect(asks)).length) }
          } catch (error) {
            seen.push((error as Status).code)
            throw error
          }
        }),
      ),
    )
    async function* asks(): AsyncGenerator<Ask> {
      yield ada
      await new Promise(() => undefined)
    }
    expect((await failureOf(client.greetAll(asks()))).code).toBe(Code.DEADLINE_EXCEEDED)
    await until(() => seen.length > 0, 'the end of the requests')
    expect(seen).toEqual([Code.DEADLINE_EXCEEDED])
  })

  it('can send headers before its response, once', async () => {
    const headers = new Metadata()
    headers.set('early', 'yes')
    const failures: unknown[] = []
    const client = await start(
      service(() =>
        unaryUnaryRpcMethodHandler((_request: Ask, context): Answer => {
          context.sendInitialMetadata(headers)
          for (const again of [headers, 'none' as never]) {
            try {
              context.sendInitialMetadata(again)
            } catch (error) {
              failures.push(error)
            }
          }
          return { text: `${context.method} ${context.peer.length > 0} ${context.deadline}` }
        }),
      ),
    )
    const call = client.greet(ada)
    expect(await call).toEqual({ text: '/greet.v1.Greeter/Greet true Infinity' })
    expect((await call.headers).get('early')).toEqual(['yes'])
    expect(failures).toEqual([expect.any(Error), expect.any(TypeError)])
  })
})

describe('a handler of another kind than the method', () => {
  const one = unaryUnaryRpcMethodHandler((ask: Ask): Answer => ({ text: `one ${ask.name}` }))
  const many = unaryStreamRpcMethodHandler(function* (ask: Ask): Generator<Answer> {
    for (let n = 0; n < (ask.times ?? 0); n++) yield { text: `${n}` }
  })
  const all = streamUnaryRpcMethodHandler(async (asks: AsyncIterable<Ask>): Promise<Answer> => {
    return { text: (await collect(asks)).map(({ name }) => name).join(' ') }
  })
  const talk = streamStreamRpcMethodHandler(async function* (asks: AsyncIterable<Ask>): AsyncGenerator<Answer> {
    for await (const { name } of asks) yield { text: name }
  })

  // reference: deviation 7, symbol 38
  it('gives a stream of one where it gives one response', async () => {
    const client = await start(service(() => one))
    expect(await client.greet(ada)).toEqual({ text: 'one Ada' })
    expect(await collect(client.greetMany(ada))).toEqual([{ text: 'one Ada' }])
  })

  it('takes a stream of one where there is one request', async () => {
    let client = await start(service(() => all))
    expect(await client.greet(ada)).toEqual({ text: 'Ada' })
    expect(await collect(client.greetMany(ada))).toEqual([{ text: 'Ada' }])
    await greeter?.stop()
    client = await start(service(() => talk))
    expect(await client.greet(ada)).toEqual({ text: 'Ada' })
    expect(await client.greetAll([ada])).toEqual({ text: 'Ada' })
  })

  // reference: deviation 7
  it('must give exactly one response where the method has one', async () => {
    const watch = watching()
    const client = await start(
      watch.interceptor,
      service(() => many),
    )
    expect(await client.greet({ name: 'a', times: 1 })).toEqual({ text: '0' })
    // Python lets the client wait for its deadline.
    expect((await failureOf(client.greet({ name: 'a', times: 2 }, { timeoutMs: 5000 }))).code).toBe(Code.INTERNAL)
    expect((await failureOf(client.greet({ name: 'a', times: 0 }, { timeoutMs: 5000 }))).code).toBe(Code.UNIMPLEMENTED)
    expect(watch.statuses[1]?.cause).toMatchObject({ message: expect.stringContaining('several responses') })
  })

  it('runs at once where it wants the single request of a stream: it may abort or answer', async () => {
    // Python answers a client that waits never, and one with an empty stream UNIMPLEMENTED.
    let client = await start(
      service(() =>
        unaryUnaryRpcMethodHandler((_request: Ask, context) => context.abort(Code.UNAUTHENTICATED, 'who are you')),
      ),
    )
    for (const call of waitingCalls(client)) {
      expect(await failureOf(call)).toMatchObject({ code: Code.UNAUTHENTICATED, details: 'who are you' })
    }
    expect((await failureOf(client.greetAll([]))).code).toBe(Code.UNAUTHENTICATED)
    await greeter?.stop()
    client = await start(service(() => unaryUnaryRpcMethodHandler(() => ({ text: 'whatever you say' }))))
    expect(await Promise.all(waitingCalls(client))).toEqual([
      { text: 'whatever you say' },
      [{ text: 'whatever you say' }],
      { text: 'whatever you say' },
      [{ text: 'whatever you say' }],
    ])
  })

  it('does not find a request there: touching it is INTERNAL', async () => {
    const watch = watching()
    const client = await start(
      watch.interceptor,
      service(() => one),
    )
    const [, , stream, bidi] = waitingCalls(client)
    expect((await failureOf(stream as Promise<unknown>)).code).toBe(Code.INTERNAL)
    expect((await failureOf(bidi as Promise<unknown>)).code).toBe(Code.INTERNAL)
    expect(watch.statuses.find(({ code }) => code === Code.INTERNAL)?.cause).toMatchObject({
      message: expect.stringContaining('there is no single request'),
    })
  })

  for (const [what, invalid, kinds] of [
    ['nothing for one response', unaryUnaryRpcMethodHandler(() => undefined), [0]],
    ['a text for a stream of responses', unaryStreamRpcMethodHandler((() => 'text') as never), [0, 1]],
    ['an object for a stream of responses', streamStreamRpcMethodHandler((() => ({})) as never), [0, 1, 2, 3]],
  ] as const) {
    it(`is INTERNAL when it returns ${what}`, async () => {
      const client = await start(service(() => invalid))
      const made = waitingCalls(client)
      for (const kind of kinds) expect((await failureOf(made[kind] as Promise<unknown>)).code).toBe(Code.INTERNAL)
    })
  }

  // reference: symbol 38
  it('refuses a behaviour that is no function', () => {
    expect(() => unaryUnaryRpcMethodHandler('behavior' as never)).toThrow(TypeError)
    expect(() => one.with({ behavior: 5 as never })).toThrow(TypeError)
    expect(one.with({ behavior: () => 5 }).pattern).toBe('unary')
    expect(Object.isFrozen(one)).toBe(true)
  })
})

describe('an unregistered method', () => {
  const unknown = { ...Greeter.greet, path: '/greet.v9.Greeter/Unknown' }
  const { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = Greeter.greet

  async function call(interceptors: readonly ServerInterceptorLike[], path: string = unknown.path) {
    greeter = await startGreeter(interceptors)
    const client = createClient({ unknown: { ...unknown, path } }, greeter.channel)
    return client.unknown(ada)
  }

  // reference: sentence 23
  it('is shown, and its continuation finds nothing', async () => {
    let found: unknown = 'not asked'
    const seen: unknown[] = []
    const watch = watching()
    const answered = await call([
      service(async (continuation, details) => {
        seen.push(details.method, details.pattern)
        found = await continuation(details)
        return found as null
      }),
      watch.interceptor,
    ]).then(
      () => 'served',
      (error: unknown) => error,
    )
    expect(answered).toMatchObject({ code: Code.UNIMPLEMENTED, details: expect.stringContaining(unknown.path) })
    expect(found).toBeNull()
    expect(seen).toEqual([unknown.path, 'unknown'])
    // Who passes it on lets inner interceptors see it too.
    expect(watch.statuses.map(({ code }) => code)).toEqual([Code.UNIMPLEMENTED])
  })

  it('can be served by an interceptor: bytes in, bytes out', async () => {
    const raw = unaryUnaryRpcMethodHandler((bytes: Buffer): Buffer => {
      const { name } = requestDeserialize(bytes)
      return responseSerialize({ text: `raw ${name}` })
    })
    expect(await call([service(async (continuation, details) => (await continuation(details)) ?? raw)])).toEqual({
      text: 'raw Ada',
    })
  })

  it('can be served with codecs, through interceptor objects and plain interceptors outside', async () => {
    const handler = unaryUnaryRpcMethodHandler((ask: Ask): Answer => ({ text: `found ${ask.name}` }), {
      requestDeserialize,
      responseSerialize,
    })
    const watch = watching()
    const passing = service((continuation, details) => continuation(details))
    const wrapping = service((continuation, details) =>
      wrapHandler(continuation(details), (behavior) => async (input, context) => await behavior(input, context)),
    )
    const answer = await call([watch.interceptor, passing, wrapping, watch.interceptor, service(() => handler)])
    expect(answer).toEqual({ text: 'found Ada' })
    expect(watch.statuses.map(({ code }) => code)).toEqual([Code.OK, Code.OK])
  })

  it('ends INTERNAL when its handler cannot read the bytes', async () => {
    const handler = unaryUnaryRpcMethodHandler((ask: Ask) => ask, {
      requestDeserialize: () => {
        throw new Error('secret format')
      },
    })
    const error = await call([service(() => handler)]).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
    expect(requestSerialize).toBeDefined()
    expect(responseDeserialize).toBeDefined()
  })
})

describe('around interceptor objects', () => {
  it('a deadline that a plain interceptor shortens holds inside', async () => {
    const deadlines: number[] = []
    const client = await start(
      (call, next) => {
        call.deadline = Date.now() + 60
        return next()
      },
      service((continuation, details) => {
        deadlines.push(details.deadline)
        return continuation(details)
      }),
      (call, next) => {
        deadlines.push(call.deadline)
        return next()
      },
      () => new Promise<never>(() => undefined),
    )
    expect((await failureOf(client.greet(ada))).code).toBe(Code.DEADLINE_EXCEEDED)
    expect(deadlines).toHaveLength(2)
    for (const deadline of deadlines) expect(deadline).toBeLessThan(Date.now() + 60)
  })

  // reference: deviation 25
  it('inner interceptors learn the true code when the server ends an RPC, not CANCELLED', async () => {
    for (const wrap of [false, true]) {
      const inner = watching()
      let begun = false
      const client = await start(
        service((continuation, details) =>
          wrap
            ? wrapHandler(continuation(details), (behavior) => (input, context) => behavior(input, context))
            : continuation(details),
        ),
        inner.interceptor,
        () => {
          begun = true
          return new Promise<never>(() => undefined)
        },
      )
      const failure = failureOf(client.greet(ada))
      await until(() => begun, 'the RPC on the server')
      const { server, channel } = greeter as GreeterServer
      await (server as ReturnType<typeof createServer>).drain(1)
      expect((await failure).code).toBe(Code.UNAVAILABLE)
      expect(inner.statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE])
      channel.close()
    }
  })

  // reference: sentence 25
  it('a context variable set by interceptService is seen inside, by the handler and its streams, in this RPC alone', async () => {
    const user = new ContextVar<string>('user', { default: 'nobody' })
    const seen: string[] = []
    greeter = await startGreeter(
      [
        (_call, next) => {
          seen.push(`before ${user.get()}`)
          return next()
        },
        service(async (continuation, details) => {
          user.set(String(details.invocationMetadata.get('user')[0]))
          await Promise.resolve()
          return continuation(details)
        }),
        service((continuation, details) => {
          seen.push(`inner ${user.get()}`)
          return wrapHandler(continuation(details), (behavior) => async (input, context) => {
            seen.push(`wrapper ${user.get()}`)
            return await behavior(input, context)
          })
        }),
        (_call, next) => {
          seen.push(`plain ${user.get()}`)
          return next()
        },
      ],
      {
        ...greeting,
        chat: async function* (call) {
          seen.push(`handler ${user.get()}`)
          for await (const { name } of call) {
            await new Promise((resolve) => setImmediate(resolve))
            yield { text: `${name} ${user.get()}` }
          }
        },
      },
    )
    const as = (name: string): Metadata => {
      const metadata = new Metadata()
      metadata.set('user', name)
      return metadata
    }
    const { client } = greeter
    const asks = [{ name: '1' }, { name: '2' }]
    const [a, b] = await Promise.all([
      collect(client.chat(asks, { metadata: as('a') })),
      collect(client.chat(asks, { metadata: as('b') })),
    ])
    expect([a, b]).toEqual([
      [{ text: '1 a' }, { text: '2 a' }],
      [{ text: '1 b' }, { text: '2 b' }],
    ])
    expect(seen.filter((line) => line === 'before nobody')).toHaveLength(2)
    for (const name of ['a', 'b']) {
      for (const where of ['inner', 'wrapper', 'plain', 'handler']) expect(seen).toContain(`${where} ${name}`)
    }
  })

  // reference: symbol 46
  it('works the same on a stock server', async () => {
    const watch = watching()
    const server = new Server({
      interceptors: serverInterceptors(
        watch.interceptor,
        service((continuation, details) =>
          details.invocationMetadata.get('deny').length > 0
            ? abortHandler(Code.PERMISSION_DENIED, 'no')
            : wrapHandler(continuation(details), (behavior) => async (input, context) => {
                const answer = (await behavior(input, context)) as Answer
                return { text: `${answer.text}!` }
              }),
        ),
      ),
    })
    server.addService(Greeter, {
      greet: (call: { request: Ask }, callback: (error: null, answer: Answer) => void) =>
        callback(null, { text: call.request.name }),
    })
    const channel = await connect(server)
    const client = createClient(Greeter, channel)
    expect(await client.greet(ada)).toEqual({ text: 'Ada!' })
    const deny = new Metadata()
    deny.set('deny', '1')
    expect((await failureOf(client.greet(ada, { metadata: deny }))).code).toBe(Code.PERMISSION_DENIED)
    expect(watch.statuses.map(({ code }) => code)).toEqual([Code.OK, Code.PERMISSION_DENIED])
    channel.close()
    server.forceShutdown()
  })
})
