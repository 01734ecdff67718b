import { patterns, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tracing } from './index.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })

describe('smoke', () => {
  let server: TestServer
  beforeAll(async () => {
    provider.register()
    server = await startTestServer({ interceptors: [tracing()] })
  })
  afterAll(() => server.stop())
  for (const pattern of patterns) {
    it(pattern, async () => {
      exporter.reset()
      await runRpc(server.channel(tracing()).client((await import('@grpc-stack/grpc-testing')).TestClient), pattern)
      await provider.forceFlush()
      expect(exporter.getFinishedSpans()).toHaveLength(2)
    })
  }
})
