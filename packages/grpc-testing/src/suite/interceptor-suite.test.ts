import { AsyncResource } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { status as Code, Metadata } from '@grpc/grpc-js'
import type { Call, ClientCall, Interceptor, Next } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { describe, expect, it } from 'vitest'
import { interceptorSuite, metadataOf, type SuiteFactory } from '../index.ts'

interceptorSuite('a pass-through interceptor', () => (_call, next) => next(), { describe, it })

interceptorSuite('one that takes its time before and after', () => async (_call, next) => {
  await new Promise((resolve) => setImmediate(resolve))
  const status = await next()
  await new Promise((resolve) => setImmediate(resolve))
  return status
})

interceptorSuite('three that look at every message', () => {
  const watching: Interceptor = async (call, next) => {
    call.onRequest((message) => message)
    call.onResponse(() => undefined)
    call.onResponseMetadata((metadata) => metadata)
    return await next()
  }
  return [watching, watching, watching]
})

interceptorSuite('a replayable call', () => ({
  client: (call: ClientCall, next: Next) => {
    call.makeReplayable({ maxBytes: 1e6, maxMessages: 100 })
    return next()
  },
}))

/** The tests of a suite, run by hand: for each whose name starts so, what it failed with. */
async function failuresOf(factory: SuiteFactory, startOfName: string): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = []
  interceptorSuite('subject', factory, {
    describe: (_name, body) => body(),
    it: (name, body) => tests.push({ name, body }),
  })
  const chosen = tests.filter(({ name }) => name.startsWith(startOfName))
  expect(chosen).not.toEqual([])
  const failures: string[] = []
  for (const { body } of chosen) await body().catch((error: unknown) => failures.push(String(error)))
  return failures
}

const SUCCESS = 'success, with headers and trailers'
const FAILURE = 'a failure after headers and messages'

describe('the suite catches an interceptor that', () => {
  const faults: [what: string, scenario: string, factory: SuiteFactory][] = [
    [
      'adds request metadata',
      SUCCESS,
      () => (call, next) => {
        call.metadata.set('extra', '1')
        return next()
      },
    ],
    [
      'changes a message',
      SUCCESS,
      () => (call, next) => {
        call.onRequest((message) => ({ ...(message as object), n: 9 }))
        return next()
      },
    ],
    [
      'loses a message',
      SUCCESS,
      () => (call, next) => {
        call.onResponse(() => ({}))
        return next()
      },
    ],
    [
      'changes response metadata',
      SUCCESS,
      () => (call, next) => {
        call.onResponseMetadata(() => new Metadata())
        return next()
      },
    ],
    ['loses trailers', FAILURE, () => async (_call, next) => ({ ...(await next()), metadata: new Metadata() })],
    ['adds trailers', SUCCESS, () => async (_call, next) => ({ ...(await next()), metadata: metadataOf({ a: 'b' }) })],
    ['changes details', FAILURE, () => async (_call, next) => ({ ...(await next()), details: 'failed' })],
    ['hides a failure', FAILURE, () => async (_call, next) => ({ ...(await next()), code: Code.OK })],
    ['adds to the error', FAILURE, () => async (_call, next) => ({ ...(await next()), attempts: 2 })],
    ['runs a call twice', SUCCESS, () => ({ client: (_call: Call, next: Next) => next().then(next) })],
    [
      'leaves a timer behind',
      SUCCESS,
      () => (_call, next) => {
        const timer = setTimeout(() => undefined, 60_000)
        cleanUps.push(() => clearTimeout(timer))
        return next()
      },
    ],
    [
      'leaves a listener behind',
      SUCCESS,
      () => (_call, next) => {
        const listener = (): void => undefined
        process.on('warning', listener)
        cleanUps.push(() => process.removeListener('warning', listener))
        return next()
      },
    ],
    [
      'makes a cancelled call succeed',
      'a cancel while the handler works',
      () => ({
        client: async (_call: Call, next: Next) => ({ ...(await next()), code: Code.ABORTED }),
      }),
    ],
    [
      'leaves the context of the call',
      'calls that resume each other keep their own contexts',
      () => (_call, next) => elsewhere.runInAsyncScope(next),
    ],
    [
      'leaves the context of the call on the client',
      'calls that resume each other keep their own contexts',
      () => ({ client: (_call: Call, next: Next) => elsewhere.runInAsyncScope(next) }),
    ],
    [
      'makes its own deadlines',
      'a deadline that is met',
      () => ({
        client: (call: Call, next: Next) => {
          call.deadline = Date.now() - 1
          return next()
        },
      }),
    ],
  ]
  const cleanUps: (() => void)[] = []
  const elsewhere = new AsyncResource('ELSEWHERE')

  it.each(faults)('%s', async (_what, scenario, factory) => {
    try {
      expect((await failuresOf(factory, `${scenario}: unary`)).length).toBeGreaterThan(0)
    } finally {
      for (const cleanUp of cleanUps.splice(0)) cleanUp()
    }
  })
})

describe('the suite', () => {
  it('does not compare metadata that is added on purpose', async () => {
    const stamping: Interceptor = (call, next) => {
      call.metadata.set('x-stamp', '1')
      return next()
    }
    expect(await failuresOf(() => ({ client: stamping, adds: ['X-Stamp'] }), SUCCESS)).toEqual([])
  })

  it('gives every call the metadata an interceptor asks for', async () => {
    const guard: Interceptor = (call, next) =>
      call.metadata.get('authorization').length === 1 ? next() : { code: Code.UNAUTHENTICATED }
    const subject = { server: guard, metadata: metadataOf({ authorization: 'Bearer good' }) }
    expect(await failuresOf(() => subject, SUCCESS)).toEqual([])
    expect(await failuresOf(() => ({ server: guard }), SUCCESS)).not.toEqual([])
  })

  it('refuses a factory that makes nothing', () => {
    expect(() => interceptorSuite('nothing', () => [])).toThrow('made no interceptor')
    const limit = named('limit', (_call: Call, next: Next) => next(), { side: 'server', instead: 'throttle()' })
    expect(() => interceptorSuite('limit', () => limit)).toThrow(
      'interceptorSuite: the factory of "limit" must return { client } or { server }: clientInterceptors: interceptor 0 is limit, ' +
        'which is for servers',
    )
    expect(() => interceptorSuite('nothing', () => ({}))).toThrow(TypeError)
    expect(() => interceptorSuite('no factory', undefined as never)).toThrow(TypeError)
  })

  it('runs under node:test, which has no globals', async () => {
    const script = `
      import { interceptorSuite } from '@grpc-stack/grpc-testing'
      interceptorSuite('transparent', () => (call, next) => next())
      interceptorSuite('faulty', () => () => ({ code: 3 }))`
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_)/.test(name)),
    )
    const args = [
      '--test-reporter=tap',
      '--test-name-pattern=success, with headers and trailers',
      '--input-type=module',
    ]
    const run = promisify(execFile)(process.execPath, [...args, '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: environment,
    })
    const output = await run.then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    )
    expect(output).toMatch(/^# pass 4$/m)
    expect(output).toMatch(/^# fail 4$/m)
  })
})
