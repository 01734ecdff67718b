// A Redis behind TLS whose certificate the client does not trust: the limiter says so.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { forAddress, key } from '../../packages/grpc-core/test/certificates.ts'
import { RedisServer, redisMissing } from '../../packages/interceptor-ratelimit/test/redis-server.ts'
import { CLIENTS, tlsClient } from './clients.ts'
import { byCaller, LimitedServer } from './limited-server.ts'

const dir = mkdtempSync(join(tmpdir(), 'grpc-stack-redis-tls-'))
let redis: RedisServer
let port: number

beforeAll(async () => {
  if (redisMissing !== undefined) return
  writeFileSync(join(dir, 'key.pem'), key)
  writeFileSync(join(dir, 'cert.pem'), forAddress)
  // The ports of tests are below this one.
  port = 30_000 + Math.floor(Math.random() * 2000)
  const files = ['--tls-key-file', join(dir, 'key.pem'), '--tls-cert-file', join(dir, 'cert.pem')]
  redis = await RedisServer.start('--tls-port', String(port), '--tls-auth-clients', 'no', ...files)
})

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

it.each(CLIENTS)(
  'names the certificate that %s does not trust',
  async (name) => {
    const options = { rate: 1e6, name: 'calls', key: byCaller }
    await using server = await LimitedServer.start(await tlsClient(name, port), 'tls:', options)
    const errors: string[] = []
    server.limit.on('storeDown', ({ error }) => errors.push(String(error)))
    while (!errors.some((error) => error.includes('self-signed certificate'))) {
      expect(await server.call('one')).toBe(Code.UNAVAILABLE)
      await sleep(10)
    }
  },
  20_000,
)
