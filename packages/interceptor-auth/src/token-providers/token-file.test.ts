import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status as Code } from '@grpc/grpc-js'
import { FakeClock, runRpc, settle, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientAuth } from '../index.ts'
import { tokenFile } from '../oauth2.ts'

const START = 1_800_000_000_000
let clock: FakeClock
let folder: string
let path: string
let server: TestServer
beforeEach(async () => {
  clock = new FakeClock(START)
  folder = await mkdtemp(join(tmpdir(), 'token-file-'))
  path = join(folder, 'token')
  server = await startTestServer()
})
afterEach(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

/** As rotators do it: never half a token. */
async function rotate(text: string): Promise<void> {
  await writeFile(`${path}.next`, text)
  await rename(`${path}.next`, path)
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwtExpiringIn = (ms: number) => `${encoded({ alg: 'none' })}.${encoded({ exp: (clock.now() + ms) / 1000 })}.c2ln`

describe('tokenFile', () => {
  it('gives the token and when a JSON Web Token expires', async () => {
    await rotate(`${jwtExpiringIn(30_000)}\n`)
    expect((await tokenFile(path, { clock })()).expiresAt).toBe(START + 30_000)
    await rotate(jwtExpiringIn(3_600_000))
    expect((await tokenFile(path, { clock })()).expiresAt).toBe(START + 60_000)
    expect((await tokenFile(path, { clock, maxAgeMs: 7_200_000 })()).expiresAt).toBe(START + 3_600_000)
  })

  for (const text of ['opaque', 'a.b.c', `a.${encoded({ exp: 'x' })}.c`, `a.${encoded(null)}.c`]) {
    it(`gives any other text for maxAgeMs: ${text}`, async () => {
      await rotate(text)
      expect(await tokenFile(path, { clock })()).toEqual({ token: text, expiresAt: START + 60_000 })
    })
  }

  it('is read again and sent with a maxAgeMs of zero', async () => {
    await rotate('one')
    const token = tokenFile(path, { maxAgeMs: 0 })
    const client = server.client(clientAuth({ token, allowInsecure: true }))
    for (let n = 0; n < 20; n++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('sends no token that has expired by its claim', async () => {
    await rotate(jwtExpiringIn(-1))
    const client = server.client(clientAuth({ token: tokenFile(path, { clock }), clock, allowInsecure: true }))
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAUTHENTICATED)
    expect(server.calls).toHaveLength(0)
    await rotate(jwtExpiringIn(3_600_000))
    await clock.advance(2000)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('has a rotated token in use within a minute, without a call waiting for it', async () => {
    await rotate('one')
    const client = server.client(clientAuth({ token: tokenFile(path, { clock }), clock, allowInsecure: true }))
    const sent = async () => {
      const n = server.calls.length
      await runRpc(client, 'unary')
      return server.calls[n]?.metadata.get('authorization')[0]
    }
    expect(await sent()).toBe('Bearer one')
    await rotate('two')
    expect(await sent()).toBe('Bearer one')
    await clock.advance(50_000)
    expect(await sent()).toBe('Bearer one')
    let latest = await sent()
    for (let n = 0; latest === 'Bearer one' && n < 100; n++) {
      await settle()
      latest = await sent()
    }
    expect(latest).toBe('Bearer two')
  })

  it('has a rotated token in use at once when the old one is refused', async () => {
    await rotate('one')
    server.behaviour = (rpc) =>
      rpc.end({ code: rpc.metadata.get('authorization')[0] === 'Bearer two' ? Code.OK : Code.UNAUTHENTICATED })
    const client = server.client(
      clientAuth({ token: tokenFile(path, { clock }), clock, random: () => 0.5, allowInsecure: true }),
    )
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAUTHENTICATED)
    await rotate('two')
    await clock.advance(1000)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  const broken: [string, string | undefined, Code][] = [
    ['is missing', undefined, Code.UNAVAILABLE],
    ['is empty', '', Code.UNAUTHENTICATED],
    ['is blank', ' \n', Code.UNAUTHENTICATED],
    ['holds two lines', 'a\nb', Code.UNAUTHENTICATED],
    ['holds no text', '\u0000\u0001', Code.UNAUTHENTICATED],
    ['is too large', 'x'.repeat(65_537), Code.UNAVAILABLE],
  ]
  for (const [what, text, code] of broken) {
    it(`that ${what} fails calls with ${Code[code]}`, async () => {
      if (text !== undefined) await rotate(text)
      const client = server.client(clientAuth({ token: tokenFile(path), allowInsecure: true }))
      expect((await runRpc(client, 'bidi')).status?.code).toBe(code)
      expect(server.calls).toHaveLength(0)
    })
  }

  it('takes the largest file it allows', async () => {
    await rotate('x'.repeat(65_536))
    expect((await tokenFile(path)()).token).toHaveLength(65_536)
  })

  it('throws for wrong options', () => {
    expect(() => tokenFile('')).toThrow(/option "path"/)
    expect(() => tokenFile(path, { maxAge: 1 } as never)).toThrow(/unknown option "maxAge"/)
  })
})
