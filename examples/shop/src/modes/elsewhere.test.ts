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
    expect(await demo.ended()).toBe(0)
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
      const monitor = await redis.monitor()
      monitor.on('monitor', (_time: string, words: string[]) => {
        for (const word of words) if (word.startsWith('shop:')) seen.add(word)
      })
      await using demo = new Demo(['--once', '--json'], { REDIS_URL: server.url })
      const ended = demo.ended()
      expect(await ended).toBe(0)
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

/** Reads what the page is told until a text is in it. */
async function hears(events: URL, text: string): Promise<void> {
  const ended = new AbortController()
  const { body } = await fetch(events, { signal: ended.signal })
  let heard = ''
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    heard += chunk
    if (heard.includes(text)) break
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
