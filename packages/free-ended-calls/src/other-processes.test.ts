import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { FreeingStatus } from './index.ts'

const built = (name: string): string => fileURLToPath(new URL(`../dist/${name}`, import.meta.url))
const echo = pathToFileURL(fileURLToPath(new URL('../test/echo.mjs', import.meta.url))).href
const folder = fileURLToPath(new URL('..', import.meta.url))

interface Outcome {
  readonly status: FreeingStatus
  readonly reply: string
  readonly stderr: string
}

/** A process that does something first, then makes a call with `register` in place, and prints the status. */
function processWith(first: string, env: Record<string, string> = {}): Outcome {
  const script = `
    { ${first} }
    await import(${JSON.stringify(pathToFileURL(built('register.js')).href)})
    const { status } = await import(${JSON.stringify(pathToFileURL(built('index.js')).href)})
    const { startServer, connect, unary } = await import(${JSON.stringify(echo)})
    const { server, port } = await startServer()
    const client = connect(port)
    await unary(client, Buffer.from('first'))
    const reply = String(await unary(client, Buffer.from('hello')))
    client.close()
    server.forceShutdown()
    console.log(JSON.stringify({ status: status(), reply }))
  `
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, ...env },
  })
  expect(run.status, run.stderr).toBe(0)
  return { ...(JSON.parse(run.stdout) as { status: FreeingStatus; reply: string }), stderr: run.stderr }
}

const warnings = (stderr: string): number => stderr.split('GRPC_STACK_NOT_FREED').length - 1

describe('where something is not as it is known', () => {
  it.each([
    [
      'an AsyncResource.prototype.bind of another library',
      `const { AsyncResource } = await import('node:async_hooks')
       const { bind } = AsyncResource.prototype
       AsyncResource.prototype.bind = function (...args) { return bind.apply(this, args) }`,
      'boundRequests',
    ],
    [
      'sessions that keep their streams elsewhere',
      `const { default: http2 } = await import('node:http2')
       const { connect } = http2
       http2.connect = (...args) => {
         const session = connect(...args)
         const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state')
         Object.defineProperty(session[key], 'streams', { writable: false })
         return session
       }`,
      'sessionStreams',
    ],
    [
      'connections that keep their calls elsewhere',
      `const { createRequire } = await import('node:module')
       const transport = createRequire(process.cwd() + '/x.js')('@grpc/grpc-js/build/src/transport.js')
       const { connect } = transport.Http2SubchannelConnector.prototype
       transport.Http2SubchannelConnector.prototype.connect = async function (...args) {
         const made = await connect.apply(this, args)
         const calls = made.activeCalls
         made.activeCalls = { add: (c) => calls.add(c), delete: (c) => calls.delete(c), get size() { return calls.size },
           [Symbol.iterator]: () => calls[Symbol.iterator]() }
         return made
       }`,
      'activeCalls',
    ],
    [
      'a grpc-js without its connector',
      `const { createRequire } = await import('node:module')
       const transport = createRequire(process.cwd() + '/x.js')('@grpc/grpc-js/build/src/transport.js')
       const { prototype } = transport.Http2SubchannelConnector
       Object.defineProperty(prototype, 'connect', { value: prototype.connect, writable: false, configurable: false })`,
      'activeCalls',
    ],
  ] as const)('leaves it alone and says so once: %s', (_, first, part) => {
    const { status, reply, stderr } = processWith(first)
    expect(reply).toBe('hello')
    expect(status[part].state).toBe('off')
    expect(status[part].reason).toEqual(expect.any(String))
    expect(warnings(stderr)).toBe(1)
  })
})

describe('the switch', () => {
  it.each(['off', '0', 'false', 'OFF'])('GRPC_STACK_FREE_ENDED_CALLS=%s', (value) => {
    const { status, reply, stderr } = processWith('', { GRPC_STACK_FREE_ENDED_CALLS: value })
    const off = { state: 'off', reason: 'switched off by GRPC_STACK_FREE_ENDED_CALLS' }
    expect(status).toEqual({ boundRequests: off, sessionStreams: off, activeCalls: off, pretenuring: off, grpcJs: [] })
    expect(reply).toBe('hello')
    expect(stderr).toBe('')
  })
})

describe('a worker', () => {
  it('has its own', () => {
    const script = `
      const { Worker } = await import('node:worker_threads')
      const inside = \`
        (async () => {
          const { freeEndedCalls, status } = await import(${JSON.stringify(pathToFileURL(built('index.js')).href)})
          const before = status().sessionStreams.state
          freeEndedCalls()
          const { startServer, connect, many } = await import(${JSON.stringify(echo)})
          const { server, port } = await startServer()
          const client = connect(port)
          await many(client, 2000, 20)
          client.close()
          server.forceShutdown();
          (await import('node:worker_threads')).parentPort.postMessage([before, status()])
        })()\`
      const worker = new Worker(inside, { eval: true })
      worker.on('message', (message) => console.log(JSON.stringify(message)))
    `
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: folder })
    expect(run.stderr).toBe('')
    const [before, status] = JSON.parse(run.stdout) as [string, FreeingStatus]
    expect(before).toBe('off')
    expect(status.sessionStreams).toEqual({ state: 'active' })
    expect(status.activeCalls).toEqual({ state: 'active' })
  })
})
