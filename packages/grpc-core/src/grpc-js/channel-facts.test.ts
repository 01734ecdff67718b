import { credentials, type Interceptor as GrpcInterceptor, InterceptingCall } from '@grpc/grpc-js'
import { runRpc, TestClient } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { ClientCall } from '../contract/call.ts'
import { clientInterceptors, createChannel, type Interceptor, interceptChannel } from '../index.ts'

describe('call.secure on a stub with a channel of its own', () => {
  const passing: GrpcInterceptor = (options, nextCall) => new InterceptingCall(nextCall(options))
  const below = { 'nothing below': [], 'an interceptor of grpc-js below': [passing] }

  // Fails when grpc-js moves the private members that secureBelow() follows.
  for (const [name, inner] of Object.entries(below)) {
    for (const [what, secure] of [
      ['TLS', true],
      ['plaintext', false],
    ] as const) {
      it(`is ${secure} over ${what} once an attempt has begun, ${name}`, async () => {
        const seen: unknown[] = []
        const look: Interceptor<ClientCall> = async function look(call, next) {
          seen.push(call.secure)
          const outcome = next()
          seen.push(call.secure)
          return await outcome
        }
        const creds = secure ? credentials.createSsl() : credentials.createInsecure()
        // No server needs to listen there: the facts are those of the channel.
        const client = new TestClient('127.0.0.1:9', creds, { interceptors: [...clientInterceptors(look), ...inner] })
        try {
          await runRpc(client, 'unary')
        } finally {
          client.close()
        }
        expect(seen).toEqual([undefined, secure])
      })
    }
  }
})

describe('call.target', () => {
  const targetsSeen = async (make: (look: Interceptor<ClientCall>) => TestClient): Promise<unknown[]> => {
    const seen: unknown[] = []
    const client = make((call, next) => {
      seen.push(call.target)
      const outcome = next()
      seen.push(call.target)
      return outcome
    })
    try {
      await runRpc(client, 'unary')
    } finally {
      client.close()
    }
    return seen
  }
  const insecure = credentials.createInsecure()

  it('is the target of a channel of this library from the start', async () => {
    const seen = await targetsSeen((look) =>
      interceptChannel(createChannel('127.0.0.1:9', insecure), look).client(TestClient),
    )
    expect(seen).toEqual(['dns:127.0.0.1:9', 'dns:127.0.0.1:9'])
  })

  // Fails when grpc-js moves the private members that channelBelow() follows.
  it('is known on a stub with a channel of its own once an attempt has begun', async () => {
    const seen = await targetsSeen(
      (look) => new TestClient('127.0.0.1:9', insecure, { interceptors: clientInterceptors(look) }),
    )
    expect(seen).toEqual([undefined, 'dns:127.0.0.1:9'])
  })
})
