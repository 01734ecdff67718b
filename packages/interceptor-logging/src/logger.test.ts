import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { status as Code } from '@grpc/grpc-js'
import { endWith, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import bunyan from 'bunyan'
import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { jsonLogger, type Logger } from './logger.ts'
import { logging } from './logging.ts'

const sink = () => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(...chunk.toString().split('\n').filter(Boolean))
      done()
    },
  })
  return { lines, stream }
}

/** What a logger writes about two calls, one of which fails. */
async function written(logger: Logger, lines: string[]): Promise<Record<string, unknown>[]> {
  const server = await startTestServer()
  try {
    const client = server.client(logging({ logger }))
    await runRpc(client, 'unary')
    const metadata = server.behave(endWith({ code: Code.INTERNAL, details: 'broken\nbadly' }))
    await runRpc(client, 'unary', { metadata })
  } finally {
    await server.stop()
  }
  return lines.map((line) => JSON.parse(line))
}

const expected = [
  { msg: 'finished call', 'grpc.code': 'OK', 'grpc.method': 'Unary', 'grpc.component': 'client' },
  { msg: 'finished call', 'grpc.code': 'INTERNAL', 'grpc.error': 'broken\\u000abadly' },
]

describe('loggers, as they are', () => {
  it('pino', async () => {
    const { lines, stream } = sink()
    const records = await written(pino({ level: 'debug' }, stream), lines)
    expect(records).toMatchObject(expected)
    expect(records.map(({ level }) => level)).toEqual([20, 40])
  })

  it('pino, asked first whether it would write', async () => {
    const { lines, stream } = sink()
    const records = await written(pino({ level: 'warn' }, stream), lines)
    expect(records).toMatchObject(expected.slice(1))
  })

  it('bunyan', async () => {
    const { lines, stream } = sink()
    const records = await written(bunyan.createLogger({ name: 'shop', level: 'debug', stream }), lines)
    expect(records).toMatchObject(expected)
    expect(records.map(({ level }) => level)).toEqual([20, 40])
  })

  it('console', async () => {
    const shown: unknown[][] = []
    const { Console } = await import('node:console')
    const { lines, stream } = sink()
    const logger = new Console({ stdout: stream, stderr: stream })
    const server = await startTestServer()
    try {
      await runRpc(server.client(logging({ logger, omit: ['protocol'] })), 'unary')
    } finally {
      await server.stop()
    }
    expect(shown).toEqual([])
    expect(lines.join(' ')).toContain("'grpc.code': 'OK'")
    expect(lines.at(-1)).toContain('finished call')
    expect(inspect(logger)).toBeTruthy()
  })
})

describe('jsonLogger', () => {
  it('writes one line of JSON per record', async () => {
    const lines: string[] = []
    const records = await written(jsonLogger({ level: 'debug', write: (line) => void lines.push(line) }), lines)
    expect(records).toMatchObject(expected)
    expect(records.map(({ level }) => level)).toEqual(['debug', 'warn'])
    expect(Object.keys(records[0] ?? {}).slice(0, 3)).toEqual(['time', 'level', 'msg'])
    for (const line of lines) expect(line).toMatch(/^\{.*\}\n$/)
  })

  it('writes everything by default, and logging() with it a line for each call of a client', async () => {
    const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    await using server = await startTestServer()
    await runRpc(server.client(logging()), 'unary')
    const lines = written.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>)
    expect(lines).toMatchObject([{ level: 'debug', 'grpc.component': 'client', 'grpc.code': 'OK' }])
  })

  it('leaves out what is below its level', () => {
    const lines: string[] = []
    const logger = jsonLogger({ level: 'warn', write: (line) => void lines.push(line) })
    logger.info({}, 'no')
    logger.warn({}, 'yes')
    expect(lines).toHaveLength(1)
    expect(['debug', 'info', 'warn', 'error'].map((level) => logger.isLevelEnabled?.(level as 'info'))).toEqual([
      false,
      false,
      true,
      true,
    ])
  })

  it('has a form for values JSON has none for', () => {
    const lines: string[] = []
    const logger = jsonLogger({ write: (line) => void lines.push(line) })
    const loop: Record<string, unknown> = {}
    loop.self = loop
    const unreadable = {
      get value() {
        throw new Error('no')
      },
    }
    const err = Object.assign(new Error('full', { cause: new Error('disk') }), { code: 'ENOSPC' })
    logger.info({ err, big: 7n, loop, unreadable, fine: 1 }, 'values')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      err: { type: 'Error', message: 'full', code: 'ENOSPC', stack: expect.any(String), cause: { message: 'disk' } },
      big: '7',
      loop: '[circular]',
      unreadable: '[unreadable]',
      fine: 1,
    })
  })

  it('checks its options', () => {
    expect(() => jsonLogger({ level: 'loud' as 'info' })).toThrow(
      'option "level" must be "debug", "info", "warn" or "error"',
    )
    expect(() => jsonLogger({ write: 7 as never })).toThrow('option "write" must be a function')
  })
})
