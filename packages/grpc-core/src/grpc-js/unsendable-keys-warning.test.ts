import { status as Code } from '@grpc/grpc-js'
import { endWith, metadataOf, runRpc, settle, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'

it('a process says once which key of a response it left out, and not its value', async () => {
  const warnings: Error[] = []
  const note = (warning: Error): void => {
    warnings.push(warning)
  }
  process.on('warning', note)
  try {
    const metadata = metadataOf({ connection: 'secret' })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.ABORTED, metadata }) })
    for (const client of [server.client(), server.client()]) await runRpc(client, 'unary')
    await settle()
    expect(warnings).toMatchObject([{ name: 'GrpcStackWarning', code: 'GRPC_STACK_METADATA_UNSENDABLE' }])
    expect(warnings[0]?.message).toContain('"connection"')
    expect(warnings[0]?.message).not.toContain('secret')
  } finally {
    process.off('warning', note)
  }
})
