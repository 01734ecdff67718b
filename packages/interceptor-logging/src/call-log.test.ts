import { status as Code } from '@grpc/grpc-js'
import {
  echo,
  endWith,
  patterns,
  runRpc,
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

const messagesOf = (logger: RecordingLogger) =>
  logger.records.map(({ message, fields }) => [
    message,
    fields['grpc.request.content'] ?? fields['grpc.response.content'],
  ])

describe('payload records', () => {
  it('are none by default', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    await runRpc(server.client(logging({ logger })), 'bidi')
    expect(messagesOf(logger)).toEqual([['finished call', undefined]])
  })

  it('of a client', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    await runRpc(server.client(logging({ logger, payload: true })), 'serverStream', { requests: [{ text: 'a', n: 2 }] })
    expect(messagesOf(logger)).toEqual([
      ['request sent', { text: 'a', n: 2 }],
      ['response received', { text: 'a', n: 0 }],
      ['response received', { text: 'a', n: 1 }],
      ['finished call', undefined],
    ])
  })

  it('of a server', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger, payload: true })] })
    await runRpc(server.client(), 'clientStream', { requests: [{ text: 'a' }, { text: 'b' }] })
    await logger.atLeast(4)
    expect(messagesOf(logger)).toEqual([
      ['request received', { text: 'a' }],
      ['request received', { text: 'b' }],
      ['response sent', { n: 2, text: 'ab' }],
      ['finished call', undefined],
    ])
  })

  it('show the request alone when the call fails', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const metadata = server.behave(endWith({ code: Code.NOT_FOUND }))
    await runRpc(server.client(logging({ logger, payload: true })), 'unary', { metadata, requests: [{ text: 'a' }] })
    expect(messagesOf(logger)).toEqual([
      ['request sent', { text: 'a' }],
      ['finished call', undefined],
    ])
  })

  it('are bounded, in size and in number', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const client = server.client(logging({ logger, payload: { maxMessages: 2 } }))
    await runRpc(client, 'serverStream', { requests: [{ text: 'x'.repeat(5000), n: 20 }] })
    expect(logger.records.map(({ message }) => message)).toEqual([
      'request sent',
      'response received',
      'response received',
      'finished call',
    ])
    for (const { fields } of logger.records.slice(0, 3)) {
      const content = fields['grpc.request.content'] ?? fields['grpc.response.content']
      expect(Buffer.byteLength(JSON.stringify(content))).toBeLessThanOrEqual(1024)
      expect(fields['grpc.request.truncated'] ?? fields['grpc.response.truncated']).toBe(true)
    }
    expect(logger.finished[0]?.fields['grpc.response.count']).toBe(20)
  })

  it('are bounded in number both ways', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const client = server.client(logging({ logger, payload: { maxMessages: 2 } }))
    await runRpc(client, 'clientStream', { requests: Array.from({ length: 20 }, (_, n) => ({ n })) })
    expect(messagesOf(logger).slice(0, -1)).toEqual([
      ['request sent', { n: 0 }],
      ['request sent', { n: 1 }],
      ['response received', { n: 20, text: '' }],
    ])
    expect(logger.finished[0]?.fields['grpc.request.count']).toBe(20)
  })

  it('only of the chosen methods and directions', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const payload = { methods: '/grpcstack.testing.Test/Unary', responses: false }
    const client = server.client(logging({ logger, payload }))
    await runRpc(client, 'unary')
    await runRpc(client, 'bidi')
    expect(logger.records.map(({ message }) => message)).toEqual(['request sent', 'finished call', 'finished call'])
  })

  // reference: flaw 21
  it.each(patterns)('what is redacted is nowhere in the log, and arrives unchanged (%s)', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger, payload: { redact: ['data'] } })] })
    const request = { text: 'a', n: 1, data: 'hunter2' }
    const client = server.client(logging({ logger, payload: { redact: ['data'] } }))
    const rpc = await runRpc(client, pattern, { requests: [request] })
    await logger.atLeast(6)
    expect(server.calls[0]?.requests).toEqual([request])
    expect(rpc.messages).toHaveLength(1)
    expect(JSON.stringify(logger.records)).not.toContain('hunter2')
    expect(JSON.stringify(logger.records)).toContain('[redacted]')
  })

  it('a redactor works on a copy', async () => {
    const logger = new RecordingLogger()
    const redact = (message: unknown) => {
      const copy = message as { text?: string; data?: string }
      delete copy.data
      copy.text = 'changed'
      return copy
    }
    const server = await start()
    const rpc = await runRpc(server.client(logging({ logger, payload: { redact } })), 'unary', {
      requests: [{ text: 'a', data: 'hunter2' }],
    })
    expect(server.calls[0]?.requests).toEqual([{ text: 'a', data: 'hunter2' }])
    expect(rpc.messages).toEqual([{ text: 'a', data: 'hunter2' }])
    expect(messagesOf(logger).slice(0, 2)).toEqual([
      ['request sent', { text: 'changed' }],
      ['response received', { text: 'changed' }],
    ])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['promises', () => Promise.reject(new Error('later'))],
  ])('a redactor that %s loses the payload, not the record and not the call', async (_what, redact) => {
    const logger = new RecordingLogger()
    const log = logging({ logger, payload: { redact }, onFailure: () => undefined })
    const server = await start({ behaviour: echo })
    const rpc = await runRpc(server.client(log), 'unary', { requests: [{ data: 'hunter2' }] })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(
      logger.records.map(({ message, fields }) => [
        message,
        fields['grpc.request.dropped'] ?? fields['grpc.response.dropped'],
      ]),
    ).toEqual([
      ['request sent', true],
      ['response received', true],
      ['finished call', undefined],
    ])
    expect(JSON.stringify(logger.records)).not.toContain('hunter2')
    expect(log.failures).toBe(2)
  })

  it('a call that is sampled out shows no payload', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const client = server.client(logging({ logger, payload: true, start: true, sample: 0 }))
    await runRpc(client, 'unary')
    expect(logger.records).toEqual([])
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.INTERNAL })) })
    expect(logger.records.map(({ message }) => message)).toEqual(['finished call'])
  })
})

describe('what is remembered of methods', () => {
  it('nothing of unregistered ones, whose names callers make up', async () => {
    const asked: string[] = []
    const methods = ({ path }: { path: string }) => {
      asked.push(path)
      return false
    }
    const server = await start({ interceptors: [logging({ logger: new RecordingLogger(), payload: { methods } })] })
    const client = server.client()
    const identity = (bytes: Buffer) => bytes
    const callUnknown = () =>
      new Promise((resolve) => client.makeUnaryRequest('/made.Up/Get', identity, identity, Buffer.alloc(0), resolve))
    for (let i = 0; i < 2; i++) {
      await callUnknown()
      await runRpc(client, 'unary')
    }
    expect(asked).toEqual(['/made.Up/Get', '/grpcstack.testing.Test/Unary', '/made.Up/Get'])
  })
})
