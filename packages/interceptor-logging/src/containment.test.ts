import { status as Code, Metadata } from '@grpc/grpc-js'
import {
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
  type TestServerOptions,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { logging } from './logging.ts'

const servers: TestServer[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

describe('nothing it calls can hurt an RPC', () => {
  const explode = () => {
    throw new Error('out of order')
  }
  const broken = {
    logger: { logger: { debug: explode, info: explode, warn: explode, error: explode } },
    'rejecting logger': {
      logger: {
        debug: async () => explode(),
        info: async () => explode(),
        warn: async () => explode(),
        error: async () => explode(),
      },
    },
    isLevelEnabled: { logger: Object.assign(new RecordingLogger(), { isLevelEnabled: explode }) },
    levels: { levels: explode },
    'level that does not exist': { levels: () => 'loud' as 'info' },
    'level that is a promise': { levels: (async () => explode()) as unknown as () => 'info' },
    'random that is a promise': { random: (async () => explode()) as unknown as () => number, sample: 0.5 },
    'sizeOf that is a promise': { sizeOf: (async () => explode()) as unknown as () => number },
    'traceContext that is a promise': { traceContext: (async () => explode()) as unknown as () => undefined },
    fields: { fields: explode },
    sizeOf: { sizeOf: explode },
    'payload.methods': { payload: { methods: explode } },
    'payload.redact': { payload: { redact: explode } },
    traceContext: { traceContext: explode },
    clock: { clock: { now: explode } },
    random: { random: explode, sample: 0.5 },
    onFailure: { levels: explode, onFailure: explode },
  }

  // reference: flaw 22
  it.each(Object.keys(broken) as (keyof typeof broken)[])('%s', async (what) => {
    const logger = new RecordingLogger()
    const warnings: unknown[] = []
    const options = { logger, start: true, onFailure: (error: unknown) => void warnings.push(error), ...broken[what] }
    for (const side of ['client', 'server'] as const) {
      const log = logging(options as Parameters<typeof logging>[0])
      const server = await start({ interceptors: side === 'server' ? [log] : [] })
      const client = server.client(...(side === 'client' ? [log] : []))
      for (const pattern of patterns) {
        const rpc = await runRpc(client, pattern)
        expect([rpc.status?.code, rpc.messages.length > 0]).toEqual([Code.OK, true])
      }
      await settle()
      expect(log.failures).toBeGreaterThanOrEqual(patterns.length)
    }
  })

  it('makes the first failure public, once', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const log = logging({ logger: broken.logger.logger })
      const client = (await start()).client(log)
      await runRpc(client, 'unary')
      await runRpc(client, 'unary')
      await settle()
      expect(log.failures).toBe(2)
      expect(warnings.map(({ message }) => message)).toEqual([
        'logging: "logger" failed: out of order. RPCs are not affected; more failures are only counted.',
      ])
    } finally {
      process.off('warning', onWarning)
    }
  })

  it('a start record does not wait for anything', async () => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const rpc = startRpc(server.client(logging({ logger, start: true, levels: { OK: 'info' } })), 'bidi')
    expect(logger.records.map(({ level, message }) => [level, message])).toEqual([['info', 'started call']])
    expect(logger.records[0]?.fields).not.toHaveProperty('grpc.code')
    rpc.cancel()
    await rpc.done
  })

  it('leaves the metadata of the call alone', async () => {
    const server = await start()
    const metadata = new Metadata()
    metadata.set('x-tenant', 'acme')
    const before = JSON.stringify(metadata.toJSON())
    await runRpc(server.client(logging({ logger: new RecordingLogger(), metadata: ['x-tenant'] })), 'unary', {
      metadata,
    })
    expect(JSON.stringify(metadata.toJSON())).toBe(before)
  })
})
