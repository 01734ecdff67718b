import { status as Code } from '@grpc/grpc-js'
import {
  endWith,
  patterns,
  runRpc,
  TestClient as Stub,
  startTestServer,
  type TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { SpanStatusCode } from '@opentelemetry/api'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

// semantic conventions 1.45.0, RPC: gRPC. On the client every code but OK is an error.
const serverErrors = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS']
const names = Object.keys(Code).filter((name) => Number.isNaN(Number(name))) as (keyof typeof Code)[]

let log: SpanLog
let server: TestServer
let client: TestClient

beforeAll(async () => {
  log = registerSdk()
  server = await startTestServer({ interceptors: [tracing()] })
  client = server.channel(tracing()).client(Stub)
})
afterAll(async () => {
  await server.stop()
  unregisterSdk()
})
beforeEach(() => log.clear())

it('there are 17 status codes', () => expect(names).toHaveLength(17))

describe.each(patterns)('the status of both spans: %s', (pattern) => {
  it.each(names)('%s', async (name) => {
    const details = name === 'OK' ? '' : `the details of ${name}`
    const behaviour = name === 'OK' ? undefined : endWith({ code: Code[name], details })
    await runRpc(client, pattern, behaviour && { metadata: server.behave(behaviour) })
    await log.count(2)

    const unset = { code: SpanStatusCode.UNSET }
    const error = { code: SpanStatusCode.ERROR, message: details }
    expect(log.client.attributes['rpc.status_code']).toBe(name)
    expect(log.server.attributes['rpc.status_code']).toBe(name)
    expect(log.client.status).toEqual(name === 'OK' ? unset : error)
    expect(log.server.status).toEqual(serverErrors.includes(name) ? error : unset)
    expect(log.client.attributes['error.type']).toBe(name === 'OK' ? undefined : name)
    expect(log.server.attributes['error.type']).toBe(serverErrors.includes(name) ? name : undefined)
  })
})

describe('option "isError"', () => {
  it('decides instead of the conventions, on each side', async () => {
    const seen: string[] = []
    const isError = tracing({
      isError: (status, call) => {
        seen.push(`${call.side} ${Code[status.code]}`)
        return call.side === 'server'
      },
    })
    await using strict = await startTestServer({
      interceptors: [isError],
      behaviour: endWith({ code: Code.NOT_FOUND, details: 'gone' }),
    })
    await runRpc(strict.client(isError), 'unary')
    await log.count(2)
    expect(seen.toSorted()).toEqual(['client NOT_FOUND', 'server NOT_FOUND'])
    expect(log.client.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(log.client.attributes).not.toHaveProperty('error.type')
    expect(log.server.status).toEqual({ code: SpanStatusCode.ERROR, message: 'gone' })
    expect(log.server.attributes['error.type']).toBe('NOT_FOUND')
  })
})

describe('the cause of an error', () => {
  const boom = new Error('the database is gone')
  const breaks = function breaks(): never {
    throw boom
  }

  it('is an exception event of the span on the side where it is known, and not told to the other', async () => {
    await using broken = await startTestServer({ interceptors: [tracing(), breaks] })
    const { error } = await runRpc(broken.client(tracing()), 'unary')
    await log.count(2)
    expect(error?.details).not.toContain('database')
    const [event] = log.server.events
    expect(event?.name).toBe('exception')
    expect(event?.attributes?.['exception.message']).toBe('the database is gone')
    expect(log.client.events).toEqual([])
  })

  it('is none with recordExceptions: false', async () => {
    await using broken = await startTestServer({ interceptors: [tracing({ recordExceptions: false }), breaks] })
    await runRpc(broken.client(), 'unary')
    await log.count(1)
    expect(log.server.events).toEqual([])
  })
})
