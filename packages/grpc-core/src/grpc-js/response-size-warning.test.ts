import { status as Code } from '@grpc/grpc-js'
import { endWith, metadataOf, runRpc, settle, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'

it('a process says once that metadata is left out, and nothing of what it was', async () => {
  const warnings: Error[] = []
  const note = (warning: Error): void => {
    warnings.push(warning)
  }
  process.on('warning', note)
  try {
    const metadata = metadataOf({ 'x-secret': 'secret'.repeat(10_000) })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.ABORTED, metadata }) })
    for (const client of [server.client(), server.client()]) await runRpc(client, 'unary')
    await settle()
    expect(warnings).toMatchObject([{ name: 'GrpcStackWarning', code: 'GRPC_STACK_METADATA_TOO_LARGE' }])
    expect(warnings[0]?.message).not.toContain('secret')
  } finally {
    process.off('warning', note)
  }
})
