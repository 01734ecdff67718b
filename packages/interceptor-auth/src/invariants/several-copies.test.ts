import { status as Code, Metadata } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it, vi } from 'vitest'
import * as here from '../index.ts'

/** Another copy of this package and of grpc-core, as second versions in the tree are. */
async function otherCopy(): Promise<typeof here> {
  vi.resetModules()
  return await import('../index.ts')
}

const metadata = new Metadata()
metadata.set('authorization', 'Bearer ada')

describe('with two copies of this package in a process', () => {
  it.each(patterns)('a handler reads the principal through the copy that did not set it: %s', async (pattern) => {
    const there = await otherCopy()
    const subjects: unknown[] = []
    await using server = await startTestServer({
      interceptors: [here.serverAuth({ verify: async (subject) => ({ subject }) })],
      behaviour: (rpc) => {
        subjects.push(there.principalVar.get().subject)
        rpc.end()
      },
    })
    await runRpc(server.client(), pattern, { metadata })
    expect(subjects).toEqual(['ada'])
  })

  it('errors of a verifier mean the same, whichever copy made them', async () => {
    const there = await otherCopy()
    expect(there.InvalidTokenError).not.toBe(here.InvalidTokenError)
    let thrown: Error = new there.InvalidTokenError('no')
    const reasons: unknown[] = []
    await using server = await startTestServer({
      interceptors: [
        here.serverAuth({
          verify: () => {
            throw thrown
          },
          onDecision: ({ reason }) => reasons.push(reason),
        }),
      ],
    })
    const client = server.client()
    expect((await runRpc(client, 'unary', { metadata })).status?.code).toBe(Code.UNAUTHENTICATED)
    thrown = new there.VerifierUnavailableError('down')
    expect((await runRpc(client, 'unary', { metadata })).status?.code).toBe(Code.UNAVAILABLE)
    expect(reasons).toEqual(['invalid', 'unavailable'])
    class Expired extends here.InvalidTokenError {}
    expect(new there.InvalidTokenError('x') instanceof Expired).toBe(false)
    expect(new Expired('x') instanceof there.InvalidTokenError).toBe(true)
    expect(new there.InvalidTokenError('x') instanceof here.VerifierUnavailableError).toBe(false)
  })
})
