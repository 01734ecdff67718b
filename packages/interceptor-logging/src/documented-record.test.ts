import { readFileSync } from 'node:fs'
import { status as Code } from '@grpc/grpc-js'
import type { ClientInterceptor, Interceptor } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { failing, metadataOf, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { jsonLogger } from './logger.ts'
import { logging } from './logging.ts'
import { requestId } from './request-id.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

const servers: TestServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})
async function start(...interceptors: Interceptor[]): Promise<TestServer> {
  const server = await startTestServer({ interceptors })
  servers.push(server)
  return server
}

const deadline = (): { readonly options: { readonly deadline: number } } => ({
  options: { deadline: Date.now() + 60_000 },
})
const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }

describe('the record that the README shows', () => {
  it('has the members of a call that was refused, in their order', async () => {
    const logger = new RecordingLogger()
    const rateLimit = named('rateLimit', () => ({ code: Code.RESOURCE_EXHAUSTED, details: 'Too many requests' }))
    const server = await start(requestId(), logging({ logger }), rateLimit)
    await runRpc(server.client(), 'unary', deadline())
    const [, example = ''] = /```json\n(.*?)```/s.exec(readme) ?? []
    const shown = JSON.parse(example) as Record<string, unknown>
    const [logged] = await logger.atLeast(1)
    let line = ''
    jsonLogger({ write: (text) => (line = text) })[logged?.level ?? 'debug'](
      logged?.fields ?? {},
      logged?.message ?? '',
    )
    const record = JSON.parse(line) as Record<string, unknown>
    expect(Object.keys(record)).toEqual(Object.keys(shown))
    for (const [name, value] of Object.entries(shown)) expect(typeof record[name], name).toBe(typeof value)
    const { level, msg } = shown
    expect(record).toMatchObject({ level, msg, 'grpc.refused_by': shown['grpc.refused_by'] })
  })
})

describe('the table of fields in the README', () => {
  it('names every field of a record, and no other', async () => {
    const logger = new RecordingLogger()
    const everything = logging({ logger, start: true, slowMs: 0, sizeOf: () => 1 })
    const traced = logging({ logger, traceContext: () => ({ traceId: 'a', spanId: 'b' }) })
    const server = await start(requestId(), everything, traced, failing(1))
    const metadata = metadataOf({ ...trace, 'grpc-previous-rpc-attempts': '1' })
    await runRpc(server.client(), 'unary', { metadata, ...deadline() })
    await runRpc(server.client(), 'bidi', { requests: [{ text: 'a' }] })
    const broken = await start(everything, () => {
      throw new Error('a bug')
    })
    await runRpc(broken.client(), 'unary')
    const twice: ClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        const first = continuation(details, request)
        const second = continuation(details, request)
        await Promise.allSettled([first, second])
        return await second
      },
    }
    await runRpc((await start()).client(everything, twice), 'unary')
    // Start and end of each call, and the end once more where a second logging() stands inside.
    await logger.atLeast(10)
    const table = readme.slice(readme.indexOf('## What a record says'), readme.indexOf('## Options of `logging()`'))
    const documented = [...table.matchAll(/^\| ((?:`[\w.]+`(?:, )?)+) \|/gm)].flatMap(([, names = '']) =>
      names.split(', ').map((name) => name.replaceAll('`', '')),
    )
    const seen = new Set(logger.records.flatMap(({ fields }) => Object.keys(fields)))
    expect([...seen].sort()).toEqual(documented.sort())
  })
})
