import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { Collector } from '../../test/collector.ts'
import { Demo, npmRunDemo } from '../../test/demo.ts'
import { RedisServer, redisIsInstalled } from '../../test/redis.ts'

describe('what the environment brings', () => {
  it('exports traces and metrics to the collector of OTEL_EXPORTER_OTLP_ENDPOINT', { timeout: 90_000 }, async () => {
    using collector = new Collector()
    await collector.start()
    await using demo = new Demo(['--once', '--json'], { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint })
    const code = await demo.ended()
    expect(linesOf(demo).filter(({ ok }) => ok === false)).toEqual([])
    expect(code, demo.errors).toBe(0)
    for (const service of ['storefront', 'orders', 'inventory', 'payments']) {
      expect(collector.has('traces', service)).toBe(true)
      expect(collector.has('metrics', service)).toBe(true)
    }
    expect(collector.has('traces', 'shop.payments.Payments/Charge')).toBe(true)
    expect(collector.has('metrics', 'rpc.server.call.duration')).toBe(true)
    expect(demo.errors).toBe('')
  })

  it('counts in the Redis of REDIS_URL', { timeout: 90_000 }, async ({ skip }) => {
    if (!redisIsInstalled()) skip('no redis-server on the PATH; on Debian: apt-get install redis-server')
    await using server = await RedisServer.start()
    const redis = new Redis(server.url)
    try {
      // A key lives no longer than its customer's debt: what is written is seen by watching, not by looking now and then.
      const seen = new Set<string>()
      // Connected, so that no command of its own is among those that a monitor hears before it is ready for them.
      await redis.ping()
      const monitor = await redis.monitor()
      monitor.on('monitor', (_time: string, words: string[]) => {
        for (const word of words) if (word.startsWith('shop:')) seen.add(word)
      })
      await using demo = new Demo(['--once', '--json'], { REDIS_URL: server.url })
      const code = await demo.ended()
      expect(linesOf(demo).filter(({ ok }) => ok === false)).toEqual([])
      expect(code, demo.errors).toBe(0)
      monitor.disconnect()
      expect([...seen].some((key) => key.includes('customer-9'))).toBe(true)
      expect(demo.errors).toBe('')
    } finally {
      redis.disconnect()
    }
  })

  it.for([
    ['--redis-cluster', 'redis cluster', 'redis-server'],
    ['--redis-sentinel', 'redis sentinel', 'redis-sentinel'],
  ] as const)(
    'counts in the Redis of %s, and ends it by Ctrl-C',
    { timeout: 90_000 },
    async ([option, store, program], ctx) => {
      if (!redisIsInstalled(program)) ctx.skip(`no ${program} on the PATH; on Debian: apt-get install ${program}`)
      await using demo = new Demo([option, '--no-story', '--port', '0'], {}, npmRunDemo)
      const [url] = await demo.says(/http:\S+/)
      const pids = [...demo.errors.matchAll(/kill -9 (\d+)/g)].map(([, pid]) => Number(pid))
      expect(pids).toHaveLength(6)
      await hears(new URL('/events', url), `"store":"${store}"`)
      demo.interrupt()
      expect(await demo.ended()).toBe(0)
      expect(await demo.gone()).toBe(true)
      expect(pids.filter(runs)).toEqual([])
    },
  )
})

describe.each([
  ['--rls', 'rateLimitService'],
  ['--ext-authz', 'extAuthz'],
] as const)('npm run demo -- %s', (option, interceptor) => {
  it('tells the whole story by that service, and ends it', { timeout: 120_000 }, async () => {
    await using demo = new Demo([option, '--once', '--json'], {}, npmRunDemo)
    const code = await demo.ended()
    expect(linesOf(demo).filter(({ ok }) => ok === false)).toEqual([])
    expect(code, demo.errors).toBe(0)
    if (option === '--rls') expect(demo.output).toMatch(/"rateLimit":"admitted [1-9]\d*, refused [1-9]/)
    const { pid, file } = service(demo)
    expect(runs(pid)).toBe(false)
    expect(existsSync(file)).toBe(false)
  })

  it('answers by its file, and is missed as it says', { timeout: 90_000 }, async () => {
    await using demo = new Demo([option, '--no-story', '--port', '0'], {}, npmRunDemo)
    const [url] = await demo.says(/http:\S+/)
    const events = new URL('/events', url)
    const { pid, file } = service(demo)
    await hears(events, `"${interceptor}"`) // in a stack of the shop
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ delayMs: 0 })
    const nothing = option === '--rls' ? { requestsPerUnit: 0 } : { deny: ['/shop.storefront.Storefront/PlaceOrder'] }
    writeFileSync(file, JSON.stringify(nothing))
    await hears(events, `"grpc.refused_by":"${interceptor}"`)
    process.kill(pid, 'SIGKILL')
    // What it is asked then, it does not answer.
    await hears(events, /"failed":[1-9]/)
    demo.interrupt()
    expect(await demo.ended(), demo.output + demo.errors).toBe(0)
    expect(await demo.gone()).toBe(true)
    expect(existsSync(file)).toBe(false)
  })
})

describe('npm run demo -- --cluster', () => {
  const workers = ({ errors }: Demo) => [...errors.matchAll(/kill -9 (\d+)/g)].map(([, pid]) => Number(pid))

  it('tells the whole story by four workers, and ends them', { timeout: 120_000 }, async () => {
    await using demo = new Demo(['--cluster', '--once', '--json'], {}, npmRunDemo)
    const code = await demo.ended()
    expect(linesOf(demo).filter(({ ok }) => ok === false)).toEqual([])
    expect(code, demo.errors).toBe(0)
    expect(workers(demo)).toHaveLength(4)
    expect(await demo.gone()).toBe(true)
  })

  it('starts a worker again that was killed', { timeout: 90_000 }, async () => {
    await using demo = new Demo(['--cluster', '--no-story', '--port', '0'], {}, npmRunDemo)
    const [url] = await demo.says(/http:\S+/)
    await hears(new URL('/events', url), '"store":"workers"')
    process.kill(workers(demo)[0]!, 'SIGKILL')
    await expect.poll(() => workers(demo).length).toBe(5)
    demo.interrupt()
    expect(await demo.ended(), demo.errors).toBe(0)
    expect(await demo.gone()).toBe(true)
  })
})

it('ends the service of --rls however the demo ends', { timeout: 60_000 }, async () => {
  await using demo = new Demo(['--rls', '--no-story', '--port', '0'], {}, npmRunDemo)
  await demo.says(/http:\S+/)
  const { pid, file } = service(demo)
  expect(runs(pid)).toBe(true)
  demo.kill()
  await expect.poll(() => runs(pid)).toBe(false)
  rmSync(dirname(file), { recursive: true })
})

const linesOf = (demo: Demo) =>
  [...demo.output.matchAll(/^\{.*\}$/gm)].map(([line]) => JSON.parse(line) as { ok?: boolean })

/** The service of the demo, as it tells where that is. */
function service({ errors }: Demo): { readonly pid: number; readonly file: string } {
  const [, pid] = /kill -9 (\d+)/.exec(errors) ?? []
  const [, file = ''] = /question from (\S+)/.exec(errors) ?? []
  return { pid: Number(pid), file }
}

/** Reads what the page is told until a text is in it, or what matches. */
async function hears(events: URL, text: string | RegExp): Promise<void> {
  const ended = new AbortController()
  const { body } = await fetch(events, { signal: ended.signal })
  let heard = ''
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    heard += chunk
    if (typeof text === 'string' ? heard.includes(text) : text.test(heard)) break
  }
  ended.abort()
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
