import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { patterns } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { OtlpReceiver, type ReceivedSpan } from '../test/otlp-receiver.ts'

const SERVER = 2
const CLIENT = 3

let receiver: OtlpReceiver | undefined
const processes: ChildProcess[] = []

afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  receiver?.stop()
  receiver = undefined
})

/** Starts a process of the chain and resolves to the first thing it says. */
async function hop(role: 'first' | 'service', env: Record<string, string>): Promise<[ChildProcess, string]> {
  const child = fork(fileURLToPath(new URL('../test/hop.mjs', import.meta.url)), [role], {
    env: { ...process.env, ...env },
    execArgv: [],
  })
  processes.push(child)
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${env.NAME} ended with ${code} before it was ready`)
  })
  const [said] = (await Promise.race([once(child, 'message'), failed])) as [string]
  failed.catch(() => undefined)
  return [child, said]
}

describe('two hops in three processes, exported over OTLP/gRPC', () => {
  it('every span is the child of the one that caused it, and none is lost when the processes end', async () => {
    receiver = await OtlpReceiver.start()
    const COLLECTOR = receiver.endpoint
    const [back, backAddress] = await hop('service', { NAME: 'back', COLLECTOR, EXIT: 'listen' })
    const [middle, middleAddress] = await hop('service', { NAME: 'middle', COLLECTOR, NEXT: backAddress })
    const [front] = await hop('first', { NAME: 'front', COLLECTOR, NEXT: middleAddress })

    const answers: unknown[] = []
    front.on('message', (message) => answers.push(message))
    front.send([...patterns])
    // By itself, when nothing is left to do.
    expect(await once(front, 'exit')).toEqual([0, null])
    expect(answers).toEqual(patterns.map((pattern) => [{ text: `${pattern} from back` }]))
    // By the signal, as it would without tracing.
    middle.kill('SIGTERM')
    expect(await once(middle, 'exit')).toEqual([null, 'SIGTERM'])
    // By the application's own handler.
    back.kill('SIGTERM')
    expect(await once(back, 'exit')).toEqual([3, null])

    const spans = await receiver.count(16)
    expect(spans).toHaveLength(16)
    const childOf = (parent: ReceivedSpan | undefined) => spans.find((span) => span.parentSpanId === parent?.spanId)
    const roots = spans.filter((span) => span.parentSpanId === '')
    expect(roots).toHaveLength(4)
    for (const root of roots) {
      const chain = [root, childOf(root), childOf(childOf(root)), childOf(childOf(childOf(root)))]
      expect(chain.map((span) => [span?.service, span?.kind])).toEqual([
        ['front', CLIENT],
        ['middle', SERVER],
        ['middle', CLIENT],
        ['back', SERVER],
      ])
      for (const span of chain) {
        expect(span?.traceId).toBe(root.traceId)
        expect(span?.name).toBe(root.name)
        expect(span?.scope).toBe('@grpc-stack/interceptor-tracing')
        expect(span?.attributes).toMatchObject({
          'rpc.system.name': 'grpc',
          'rpc.method': root.name,
          'rpc.status_code': 'OK',
          'server.address': '127.0.0.1',
          'server.port': expect.any(Number),
        })
      }
    }
    expect(roots.map((span) => span.name).toSorted()).toEqual([
      'grpcstack.testing.Test/Bidi',
      'grpcstack.testing.Test/ClientStream',
      'grpcstack.testing.Test/ServerStream',
      'grpcstack.testing.Test/Unary',
    ])
  }, 30_000)
})
