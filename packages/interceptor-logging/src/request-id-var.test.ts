import { AsyncLocalStorage } from 'node:async_hooks'
import { runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it, vi } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { logging, requestId, requestIdVar } from './index.ts'

/** From Node 24 on entering a context costs next to nothing, and every call does. */
const everyCallEnters = Number.parseInt(process.versions.node, 10) >= 24

it('contexts are entered once requestId() is used, not because the package is there', async () => {
  const run = vi.spyOn(AsyncLocalStorage.prototype, 'run')
  const logger = new RecordingLogger()
  const server = await startTestServer({ interceptors: [logging({ logger })] })
  try {
    await runRpc(server.client(logging({ logger })), 'unary')
    expect(requestIdVar.get('none')).toBe('none')
    expect(run.mock.calls.length > 0).toBe(everyCallEnters)
    run.mockClear()
    await runRpc(server.client(requestId(), logging({ logger })), 'unary')
    expect(run).toHaveBeenCalled()
  } finally {
    await server.stop()
  }
})
